"""The digest of what is approved with an action.

Whatever it is of can't change between the approval and the execution unnoticed.
"""

import hashlib
import json
from typing import Any

from google.protobuf.json_format import MessageToDict
from kintsugi.v1 import action_pb2 as pb
from kintsugi.v1 import connector_pb2

from server.domain.json_values import Parameters, plain


def digest_of(
    action_type: str,
    parameters: Parameters,
    request: pb.Action.Request | None,
    connector: connector_pb2.Connector | None,
) -> str:
    """64 hexadecimal digits: SHA-256 of all of it as JSON, with sorted keys and no blanks.

    An action that sends nothing has no `request` and no `connector`. Raises ValueError where a
    parameter is no JSON.
    """
    content = {
        "action_type": action_type,
        "parameters": plain(parameters),
        "request": None if request is None else _request(request),
        "connector": None if connector is None else _connector(connector),
    }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _connector(connector: connector_pb2.Connector) -> dict[str, Any]:
    """All that its revision counts, as one that was made anew begins to count again."""
    return {
        "name": connector.name,
        "revision": connector.revision,
        "risk": connector.risk,
        "http": MessageToDict(connector.http, preserving_proto_field_name=True),
    }


def _request(request: pb.Action.Request) -> dict[str, Any]:
    return {
        "method": request.method,
        "url": request.url,
        "headers": dict(request.headers),
        "body": request.body,
    }
