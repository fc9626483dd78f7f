"""CPU quotas are read from control groups of both versions, the smallest one counts."""

import pytest

from server.launch import pinning


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.cfs_quota_us": "200000\n", "cpu.cfs_period_us": "100000\n"}, 2.0),
        ({"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_the_quota_of_a_group(tmp_path, files, quota):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert pinning._quota_of(tmp_path) == quota


def test_a_quota_limits_how_many_processes_are_started(monkeypatch):
    monkeypatch.setattr(pinning, "_cores", lambda: [0, 1, 2, 3])
    monkeypatch.setattr(pinning, "_quota", lambda: 1.5)
    assert pinning.usable_cores() == 2
    assert pinning.Cores().take() is None
