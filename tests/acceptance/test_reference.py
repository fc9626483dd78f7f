"""What the service says about itself: /openapi.json, and /docs in a browser without network."""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from server.launch import files

BROWSER = shutil.which("chromium") or shutil.which("google-chrome") or ""
DOCUMENT = json.loads(files.path("openapi.json").read_text(encoding="utf-8"))


def browse(url: str, profile: Path) -> tuple[str, set[str]]:
    """The page as the browser has it in the end, and all URLs that were asked for on its behalf."""
    log = profile / "net.json"
    argv = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    argv += [f"--user-data-dir={profile}", f"--log-net-log={log}", "--dump-dom", url]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    net = json.loads(log.read_text())
    start = net["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    page = urlsplit(url)
    asked = [
        event["params"]
        for event in net["events"]
        if event["type"] == start and "url" in event.get("params", {})
    ]
    origin = f"{page.scheme}://{page.netloc}"
    return done.stdout, {
        one["url"] for one in asked if origin in (one.get("initiator"), one["url"][: len(origin)])
    }


def test_the_document_is_served_as_it_is(stack: Any) -> None:
    answer = stack.http.get(f"{stack.rest}/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == DOCUMENT


def test_the_page_is_served_as_html_that_may_load_nothing(stack: Any) -> None:
    answer = stack.http.get(f"{stack.rest}/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.text == files.path("reference.html").read_text(encoding="utf-8")


def test_they_can_only_be_read(stack: Any) -> None:
    for path in ("/docs", "/openapi.json"):
        assert httpx.head(f"{stack.rest}{path}").status_code == 200
        assert stack.http.post(f"{stack.rest}{path}", json={}).status_code == 404
        assert stack.http.get(f"{stack.rest}{path}/").json()["code"] == 5


@pytest.mark.skipif(not BROWSER, reason="there is no Chromium here: apt-get install chromium")
def test_a_browser_shows_every_operation_and_asks_nobody_else(stack: Any, tmp_path: Path) -> None:
    shown, asked = browse(f"{stack.rest}/docs", tmp_path)
    assert asked == {f"{stack.rest}/docs"}
    text = unescape(re.sub(r"<[^>]+>", "", shown))
    for path, verbs in DOCUMENT["paths"].items():
        assert path in text
        assert all(operation["summary"] in text for operation in verbs.values())
