"""How long an attempt may take, and how that is said."""

import threading

import pytest

from server.outbound.patience import Patience, RanOut


@pytest.mark.parametrize(
    ("seconds", "said"), [(1.94119, "2 s"), (0.3, "0.3 s"), (0.7, "0.7 s"), (29.998, "30 s")]
)
def test_what_was_set_is_told(seconds: float, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    patience = Patience(seconds)
    monkeypatch.setattr("time.monotonic", lambda: float("inf"))
    with pytest.raises(RanOut, match=f"^no answer came within {said}$"):
        patience.check()


def test_what_was_cancelled_ends() -> None:
    cancelled = threading.Event()
    patience = Patience(60, cancelled)
    assert 0 < patience.check() <= 0.1
    cancelled.set()
    with pytest.raises(RanOut, match="cancelled"):
        patience.check()
