"""Which cores the server processes of `kintsugi up` run on.

The lock files that say which core is taken are in a temporary directory of each test's own.
"""

import os

import pytest

from server.launch import pinning

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or pinning._quota() is not None,
    reason="nothing is pinned here: cores can't be chosen, or a CPU quota is set",
)


@pytest.fixture
def env(tmp_path):
    return os.environ | {"TMPDIR": str(tmp_path)}


def _cores(stack) -> list[set[int]]:
    return [os.sched_getaffinity(pid) for pid in stack.processes(" serve ")]


def test_each_server_has_a_core_of_its_own_while_there_are_any(start_up, env):
    ours = os.sched_getaffinity(0)
    workers = len(ours) + 1
    stack = start_up("--port", "0", "--workers", str(workers), env=env)
    cores = _cores(stack)
    pinned = [core for core in cores if len(core) == 1]
    loose = [core for core in cores if core == ours]
    if len(ours) > 1:
        assert len(loose) == 1
    assert set().union(*pinned) == ours
    assert len(pinned) + len(loose) >= workers


def test_a_second_one_leaves_the_cores_of_the_first_alone(start_up, env):
    ours = os.sched_getaffinity(0)
    start_up("--port", "0", "--workers", str(len(ours)), env=env)
    second = start_up("--port", "0", "--workers", "1", env=env)
    assert _cores(second) == [ours]


def test_unpinned_where_asked_for(start_up, env):
    stack = start_up("--port", "0", "--workers", "1", "--no-pin", env=env)
    assert _cores(stack) == [os.sched_getaffinity(0)]


def test_database_worker_and_envoy_are_never_pinned(stack):
    others = set(stack.children()) - set(stack.processes(" serve "))
    assert len(others) == 3
    assert {frozenset(os.sched_getaffinity(pid)) for pid in others} == {
        frozenset(os.sched_getaffinity(0))
    }
