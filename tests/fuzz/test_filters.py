"""The filters fuzzed by coverage, from the conformance cases on: some seconds, in a soak long."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.filters_cases import things
from tests.unit.filters.test_fuzz import TOKENS, check

SOAK = bool(os.environ.get("KINTSUGI_SOAK"))
SECONDS = 1500 if SOAK else 3
LONGEST = 16 * 1024

pytestmark = [
    pytest.mark.timeout(3600 if SOAK else 120),
    pytest.mark.skipif(not find_spec("atheris"), reason="atheris has no wheel for this platform"),
]


def test_no_bytes_make_a_filter_fail(tmp_path):
    corpus, slow = tmp_path / "corpus", tmp_path / "slow"
    corpus.mkdir()
    slow.mkdir()
    for number, case in enumerate(things.cases() + things.bad_cases()):
        (corpus / str(number)).write_bytes(encoded(case.filter))
    (tmp_path / "tokens").write_text("\n".join(map(quoted, TOKENS)))
    options = {
        "max_total_time": SECONDS,
        "max_len": LONGEST,
        "dict": tmp_path / "tokens",
        "artifact_prefix": f"{tmp_path}/found-",
        "print_final_stats": 1,
        "verbosity": 0,
    }
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "tests.fuzz.filters"),
            *(f"-{name}={value}" for name, value in options.items()),
            corpus,
        ],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"SLOW": str(slow)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    found = {path.name: path.read_bytes() for path in tmp_path.glob("found-*")}
    assert ran.returncode == 0, (found, ran.stdout[-4000:])
    if SOAK:
        sys.stdout.write(ran.stdout[-1000:])  # what it did; -s shows it
        for path in slow.iterdir():
            check(path.read_bytes().decode("utf-8", "surrogateescape"))


def encoded(text):
    return text.encode("utf-8", "surrogatepass")


def quoted(token):
    """As libFuzzer's dictionaries have it."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in encoded(token)) + '"'
