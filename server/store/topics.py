"""What a wake-up can be about: short texts without blanks, the same in every process.

How they travel is the business of `notifier` and `listener`.
"""

import hashlib

CHANNEL = "kintsugi"

EVERYTHING = "*"
"""The topic of everything: sent where there is too much to say."""

SESSIONS = "sessions"
"""Some agent session is due: for the workers."""


def thread_topic(workspace_uid: str, thread_name: str) -> str:
    """Something was appended to a thread; `thread_name` is without the workspace's name."""
    return f"t{_hash(workspace_uid, thread_name)}"


def workspace_topic(workspace_uid: str) -> str:
    """Something changed in a workspace."""
    return f"w{_hash(workspace_uid)}"


def _hash(*parts: str) -> str:
    return hashlib.blake2b("/".join(parts).encode(), digest_size=8).hexdigest()
