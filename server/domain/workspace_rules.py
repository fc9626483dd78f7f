"""What must be true of a workspace that a caller creates or changes, beyond what the protos say.

Which methods need a feature is said by the methods.
"""

import re

from kintsugi.v1 import workspace_pb2 as pb

from server.domain.errors import Violation

FEATURES = ("agent_ai",)

_ID = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")


def id_violations(workspace_id: str) -> list[Violation]:
    """What is wrong with an id that a caller chose (AIP-122)."""
    if _ID.fullmatch(workspace_id):
        return []
    what = (
        "must be 1 to 63 lower-case letters, digits and hyphens,"
        " beginning with a letter and not ending in a hyphen"
    )
    return [("workspace_id", what)]


def violations(workspace: pb.Workspace) -> list[Violation]:
    """All that is wrong, by fields of the workspace; empty when nothing is."""
    known = ", ".join(FEATURES)
    found = [
        ("features", f"{name!r} is no feature; the features are {known}")
        for name in workspace.features
        if name not in FEATURES
    ]
    if len(set(workspace.features)) < len(workspace.features):
        found.append(("features", "names a feature twice"))
    return found
