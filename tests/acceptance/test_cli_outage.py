"""A job that waits for its exception outlives the service's restart."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

KINTSUGI = str(Path(sys.executable).with_name("kintsugi"))

Until = Callable[[Callable[[], bool], float], bool]


def test_a_waiting_job_goes_on_after_the_service_was_away(
    start_up: Callable[..., Any], until: Until, tmp_path: Path
) -> None:
    service = start_up("--port", "0", "--workers", "1")
    told, repaired = tmp_path / "told", tmp_path / "repaired"
    words = ["exec", "--automation", "outage", "--", "test", "-e", str(repaired)]
    with told.open("wb") as stderr:
        job = subprocess.Popen([KINTSUGI, *words], env=service.env, stderr=stderr)
    try:
        assert until(lambda: "waiting;" in told.read_text(), 60)
        service.stop()
        assert until(lambda: "can't be reached" in told.read_text(), 60)
        port = service.edge.rpartition(":")[2]
        free = [word for name in ("grpc", "health", "metrics") for word in (f"--{name}-port", "0")]
        start_up("--port", port, *free, "--workers", "1", data_dir=service.data_dir)
        assert until(lambda: "service is back" in told.read_text(), 60)
        repaired.touch()
        (command,) = [line for line in told.read_text().splitlines() if "repaired: " in line]
        subprocess.run(["sh", "-c", command.partition("repaired: ")[2]], check=True, timeout=60)
        assert job.wait(60) == 0
    finally:
        job.kill()
        job.wait()
