"""Runs all benchmarks, prints their table and writes bench/results.json.

Only names given on the command line are run, where there are any: `python -m bench page rest`. The
results of the others are then kept.
"""

import importlib
import importlib.util
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench import (
    batch,
    chain,
    create,
    frameworks,
    load,
    overload,
    page,
    read,
    rest,
    streams,
    write_ahead,
)
from bench.measure import ROUNDS, Row
from bench.stage import stage

ON_STAGE = {
    "read": read.run,
    "chain": chain.run,
    "page": page.run,
    "rest": rest.run,
    "frameworks": frameworks.run,
    "overload": overload.run,
    "create": create.run,
    "batch": batch.run,
    "streams": streams.run,
    "write_ahead": write_ahead.run,
}
BY_THEMSELVES = ("filters", "ranking", "sizes")
RESULTS = Path(__file__).with_name("results.json")
_WIDTH = 56


def main(names: Sequence[str]) -> None:
    started = time.monotonic()
    print(f"{'':{_WIDTH}}  {'value':>9} {'baseline':>9} {'unit':9}  {'ratio':>6} {'goal':>5}")
    rows: list[Row] = []
    for measured in _measured(names):
        rows += measured
        for each in measured:
            print(f"{each['name']:{_WIDTH}}  {_figures(each)}", flush=True)
    print(f"\nload: {load.TOOL}; medians of {ROUNDS} rounds; {time.monotonic() - started:.0f} s")
    RESULTS.write_text(json.dumps(merged(_kept(names), rows), indent=1) + "\n")


def merged(kept: Sequence[Row], measured: Sequence[Row]) -> list[Row]:
    """The rows that were kept, those measured again as they are now, then the new ones."""
    return list({row["name"]: row for row in (*kept, *measured)}.values())


def _kept(names: Sequence[str]) -> list[Row]:
    """The earlier results; none where everything was run."""
    if not names or not RESULTS.exists():
        return []
    kept: list[Row] = json.loads(RESULTS.read_text())
    return kept


def _measured(names: Sequence[str]) -> Iterator[list[Row]]:
    chosen = [name for name in ON_STAGE if not names or name in names]
    if chosen:
        with stage() as built:
            for name in chosen:
                yield ON_STAGE[name](built)
            built.check()
    for name in BY_THEMSELVES:
        if (not names or name in names) and importlib.util.find_spec(f"bench.{name}"):
            yield importlib.import_module(f"bench.{name}").run()


def _figures(row: Row) -> str:
    met = {None: "", True: "met", False: "MISSED"}[row["met"]]
    numbers = f"{row['value']:9.1f} {_number(row['baseline'], 9, 1)} {row['unit']:9}"
    return f"{numbers}  {_number(row['ratio'], 6, 2)} {_number(row['goal'], 5, 2)} {met}".rstrip()


def _number(number: float | None, width: int, places: int) -> str:
    return " " * width if number is None else f"{number:{width}.{places}f}"


if __name__ == "__main__":
    main(sys.argv[1:])
