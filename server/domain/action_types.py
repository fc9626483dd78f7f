"""What kinds of actions there are that are known here; a workspace's connectors bring others.

How one is carried out is not decided here.
"""

import re

RETRY_RUN = "retry_run"
"""A waiting `kintsugi exec` runs its command again."""

MANUAL_REVIEW = "manual_review"

BY_PEOPLE = frozenset({MANUAL_REVIEW, "contact_support"})
"""What only people can do: no connector carries these out."""

FORM = "must be of lower case letters, digits and `_`, begin with a letter, and have at most 63"

_PATTERN = re.compile(r"[a-z][a-z0-9_]{0,62}")


def is_action_type(text: str) -> bool:
    """Whether it is as FORM says."""
    return _PATTERN.fullmatch(text) is not None
