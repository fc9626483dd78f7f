"""Reads and pages of 50 over REST, against FastAPI, SQLAlchemy's ORM and uvicorn on the same table.

Theirs has our driver, psycopg, and then asyncpg, which is faster.

How many a second of its server process's time: what else runs takes nothing from either. Envoy,
which is ours, runs on another core.
"""

import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from kintsugi.v1 import exception_service_pb2 as service

from bench.load import Request, rate
from bench.measure import Row, interleaved, row
from bench.stage import WORKSPACE, Stage, running, temporary_directory, wait_for

SIZE = 50
GOALS = {"psycopg": 4.0, "asyncpg": None}


def run(stage: Stage) -> list[Row]:
    return [each for driver in GOALS for each in _against(stage, driver)]


def _against(stage: Stage, driver: str) -> list[Row]:
    ours, theirs = _ours(stage), _theirs(stage)
    with _fastapi(stage, driver) as (address, process):
        processes = {"our": stage.process, "their": process}
        subjects = {
            f"our {name}": Request(stage.edge, path, stage.token) for name, path in ours.items()
        }
        for name, path in theirs.items():
            subjects[f"their {name}"] = Request(address, path, stage.token, has_http2=False)
        _check(subjects)
        figures = interleaved(
            {
                name: partial(_rate_of_core, processes[name.partition(" ")[0]], one)
                for name, one in subjects.items()
            }
        )
    return [
        row(
            f"REST {name} / FastAPI on {driver}",
            unit,
            figures[f"our {name}"],
            figures[f"their {name}"],
            GOALS[driver],
        )
        for name, unit in (("read", "calls/s"), ("page of 50", "pages/s"))
    ]


def _rate_of_core(process: int, request: Request) -> float:
    """Requests answered in a second of the processor, as far as the system tells."""
    used, begun = _processor_seconds(process), time.perf_counter()
    answered = rate(request)
    taken = time.perf_counter() - begun
    used = _processor_seconds(process) - used
    return answered * taken / used if used else answered


def _processor_seconds(process: int) -> float:
    """What a process has used so far; 0 where that can't be known."""
    state = Path(f"/proc/{process}/stat")
    if not state.exists():
        return 0.0
    fields = state.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _ours(stage: Stage) -> dict[str, str]:
    """The paths of a read and of the page behind the first one."""
    call = stage.call("ListExceptions", _first().SerializeToString())
    token = service.ListExceptionsResponse.FromString(call.send()).next_page_token
    query = urlencode({"page_size": SIZE, "page_token": token})
    return {
        "read": f"/api/v1/{stage.exception}",
        "page of 50": f"/api/v1/{WORKSPACE}/exceptions?{query}",
    }


def _theirs(stage: Stage) -> dict[str, str]:
    """The same read and page."""
    call = stage.call("ListExceptions", _first().SerializeToString())
    last = service.ListExceptionsResponse.FromString(call.send()).exceptions[-1]
    after = {
        "after_time": last.create_time.ToDatetime(UTC).isoformat(),
        "after_id": last.name.rpartition("/")[2],
        "page_size": SIZE,
    }
    return {
        "read": f"/api/v1/{stage.exception}",
        "page of 50": f"/api/v1/{WORKSPACE}/exceptions?{urlencode(after)}",
    }


def _first() -> service.ListExceptionsRequest:
    return service.ListExceptionsRequest(parent=WORKSPACE, page_size=SIZE)


def _check(subjects: dict[str, Request]) -> None:
    """Raises RuntimeError where the two don't answer with the same exceptions."""
    answers = {name: _exceptions(json.loads(one.send())) for name, one in subjects.items()}
    for name in ("read", "page of 50"):
        if answers[f"our {name}"] != answers[f"their {name}"]:
            raise RuntimeError(f"the answers to a {name} differ")


def _exceptions(answer: Any) -> list[Any]:
    """Those of a page, or the one that was read, all fields as they are in Python.

    In protobuf's JSON an int64 is a text, and a time has no more digits than it needs.
    """
    return [
        {
            **each,
            "location": {name: int(byte) for name, byte in each["location"].items()},
            **{name: datetime.fromisoformat(each[name]) for name in each if name.endswith("_time")},
        }
        for each in answer.get("exceptions", [answer])
    ]


@contextmanager
def _fastapi(stage: Stage, driver: str) -> Iterator[tuple[str, int]]:
    """One uvicorn process on the server's core: its address, and its number."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    argv = [sys.executable, "-m", "uvicorn", "bench.fastapi_app:app", "--port", str(port)]
    url = stage.database_url.replace("postgresql://", f"postgresql+{driver}://")
    env = {"DATABASE_URL": url}
    with (
        temporary_directory() as directory,
        running("uvicorn", argv, directory, env, next(iter(stage.cores), None)) as process,
    ):
        wait_for(process, lambda: _answers(port))
        yield f"127.0.0.1:{port}", process.pid or 0


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
