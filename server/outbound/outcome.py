"""What came of one attempt to send a request.

What follows of it, such as a repetition, is decided by whoever sent it.
"""

from enum import Enum
from typing import Any, NamedTuple


class Kind(Enum):
    SUCCEEDED = "succeeded"
    """An answer that is success by the connector's rule."""
    FAILED = "failed"
    """An answer that isn't."""
    UNSENT = "unsent"
    """Certainly nothing of the request left here: it may be tried again."""
    REFUSED = "refused"
    """Nothing left here, and nothing would at another time: somebody has to change something."""
    CUT_OFF = "cut off"
    """It left, or a part of it, and no whole answer came: it may have been done or not."""


class Outcome(NamedTuple):
    """`response` has `status`, a number, and `body`, JSON or a text; None where none came.

    `error` says in one sentence why it isn't SUCCEEDED; no secret is in either.
    """

    kind: Kind
    response: dict[str, Any] | None = None
    error: str = ""
