"""The hub: what cannot be read of one log stops no other."""

from typing import Any

from server.streams.hub import Hub


class Log:
    """Of a kind whose logs can't be read together with a bad one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_attached = True

    @classmethod
    def advance(cls, _database: Any, logs: list["Log"]) -> dict["Log", float]:
        if any(log.name == "bad" for log in logs):
            raise ValueError
        return dict.fromkeys(logs, 0.0)

    def detach(self) -> None:
        self.is_attached = False


def test_one_bad_log_is_given_up_and_the_others_go_on() -> None:
    hub: Any = Hub.__new__(Hub)
    hub.database = None
    logs = [Log("good"), Log("bad"), Log("better")]
    again = hub._advance_kind(Log, logs)
    assert set(again) == {logs[0], logs[2]}
    assert [log.is_attached for log in logs] == [True, False, True]
