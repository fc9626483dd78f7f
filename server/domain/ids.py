"""Ids that the service gives to resources.

Ids that callers choose are only checked, in `names`.
"""

import secrets
import time


def new_id() -> str:
    """28 hexadecimal digits: milliseconds first, so that new rows lie together in an index."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(8)}"
