"""What bench/results.json holds after a run of some of the benchmarks."""

import json

from bench import __main__ as bench


def row(name, value):
    return {"name": name, "value": value}


def test_results_of_what_was_not_run_are_kept(tmp_path, monkeypatch):
    results = tmp_path / "results.json"
    results.write_text(json.dumps([row("read", 1), row("parse", 2), row("rest", 3)]))
    monkeypatch.setattr(bench, "RESULTS", results)
    monkeypatch.setattr(bench, "_measured", lambda _: [[row("parse", 4)], [row("new", 5)]])
    monkeypatch.setattr(bench, "_figures", str)
    bench.main(["filters"])
    kept = [row("read", 1), row("parse", 4), row("rest", 3), row("new", 5)]
    assert json.loads(results.read_text()) == kept
    bench.main([])
    assert json.loads(results.read_text()) == [row("parse", 4), row("new", 5)]
