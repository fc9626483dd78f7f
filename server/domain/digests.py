"""The digest of what is approved with an action.

Whatever it is of can't change between the approval and the execution unnoticed.
"""

import hashlib
import json
from typing import Any

from kintsugi.v1 import action_pb2 as pb

from server.domain.json_values import Parameters, plain


def digest_of(
    action_type: str,
    parameters: Parameters,
    request: pb.Action.Request | None,
    connector: str,
    revision: int,
) -> str:
    """64 hexadecimal digits: SHA-256 of all of it as JSON, with sorted keys and no blanks.

    An action that sends nothing has no `request`. Raises ValueError where a parameter is no JSON.
    """
    content = {
        "action_type": action_type,
        "parameters": plain(parameters),
        "request": None if request is None else _request(request),
        "connector": connector,
        "revision": revision,
    }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _request(request: pb.Action.Request) -> dict[str, Any]:
    return {
        "method": request.method,
        "url": request.url,
        "headers": dict(request.headers),
        "body": request.body,
    }
