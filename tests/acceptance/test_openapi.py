"""What is served is what openapi.json says: schemathesis calls everything and reads every answer.

The calls are the same in every run; KINTSUGI_SOAK=1 makes others, for fifteen minutes. Streams are
left out, since they don't end.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from server.launch import files

CHECKS = (
    "ignored_auth",
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
SOAK = bool(os.environ.get("KINTSUGI_SOAK"))
SHORT = ("--phases=examples,coverage,fuzzing", "--max-examples=2", "--generation-deterministic")
LONG = ("--phases=examples,coverage,fuzzing,stateful", "--max-time=900")


def ids(stack: Any) -> dict[str, str]:
    """Of an exception and its thread, in a workspace of their own that may be changed at will."""
    parent = f"{stack.rest}/api/v1/organizations/local/workspaces"
    workspace = stack.http.post(f"{parent}?workspace_id=openapi", json={}).json()["name"]
    run = f"{workspace}/automations/openapi/runs/1"
    body = {"run": run, "location": {}, "message": "KeyError: 'total'"}
    raised = stack.http.post(f"{parent}/openapi/exceptions", json=body).json()["name"]
    exception = raised.rpartition("/")[2]
    thread = {"automation_id": "openapi", "run_id": "1", "agent_id": "kai"}
    names = {"organization_id": "local", "workspace_id": "openapi", "exception_id": exception}
    return names | thread


@pytest.mark.timeout(1200 if SOAK else 240)
def test_every_answer_is_one_that_the_document_describes(stack: Any, tmp_path: Path) -> None:
    config = tmp_path / "schemathesis.toml"
    config.write_text("[parameters]\n" + "".join(f'{n} = "{i}"\n' for n, i in ids(stack).items()))
    argv = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(config)]
    argv += ["--no-color", "run", str(files.path("openapi.json")), "--url", stack.rest]
    argv += ["--exclude-operation-id-regex", "^(Stream|Watch)", "--checks", ",".join(CHECKS)]
    argv += ["--header", f"Authorization: Bearer {stack.token}"]
    argv += ["--request-timeout", "40", "--warnings", "off", *(LONG if SOAK else SHORT)]
    ran = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert " generated, " in ran.stdout
