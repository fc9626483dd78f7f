"""`/metrics`: what the server processes count, and how the processes themselves are doing.

The counters are made in the servers; here they are only added up.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from server.launch.health import Answer


class Process(Protocol):
    """What is told about a process that is kept running."""

    @property
    def name(self) -> str: ...
    @property
    def alive(self) -> bool: ...
    @property
    def pid(self) -> int | None: ...
    @property
    def restarts(self) -> int: ...


class Metrics:
    """Reads the directory that all server processes write their counters to."""

    def __init__(self, directory: Path, processes: Sequence[Process]) -> None:
        self._directory = str(directory)
        self._registry = CollectorRegistry()
        MultiProcessCollector(self._registry, path=self._directory)  # type: ignore[no-untyped-call]
        self._registry.register(_Processes(processes))

    def page(self) -> Answer:
        return Answer(200, CONTENT_TYPE_LATEST, generate_latest(self._registry))

    def forget(self, pid: int) -> None:
        """Removes what a dead process no longer has; what it counted stays counted."""
        mark_process_dead(pid, self._directory)  # type: ignore[no-untyped-call]


class _Processes(Collector):
    def __init__(self, processes: Sequence[Process]) -> None:
        self._processes = processes

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily("kintsugi_process_up", "1 while it runs.", labels=["process"])
        restarts = CounterMetricFamily(
            "kintsugi_process_restarts",
            "How often it died and was started again.",
            labels=["process"],
        )
        memory = GaugeMetricFamily(
            "kintsugi_process_resident_memory_bytes", "Resident memory.", labels=["process"]
        )
        cpu = CounterMetricFamily(
            "kintsugi_process_cpu_seconds",
            "User and system time since its start.",
            labels=["process"],
        )
        for process in self._processes:
            up.add_metric([process.name], process.alive)
            restarts.add_metric([process.name], process.restarts)
            if usage := _usage(process.pid):
                memory.add_metric([process.name], usage[0])
                cpu.add_metric([process.name], usage[1])
        return [up, restarts, memory, cpu]


def _usage(pid: int | None) -> tuple[float, float] | None:
    """Resident bytes and CPU seconds of a process; None if it is gone, or there is no /proc."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    ticks = int(stat[11]) + int(stat[12])
    return int(stat[21]) * os.sysconf("SC_PAGE_SIZE"), ticks / os.sysconf("SC_CLK_TCK")
