"""What an action is to be before it is one: proposed by a reasoner or asked for by a person.

What may be done to it once it is proposed is in `actions.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kintsugi.v1.risk_pb2 import RISK_UNSPECIFIED, Risk


class Proposed(NamedTuple):
    """One action to propose.

    - `risk`: the least; that of its connector, or the built-in one, applies if it is higher.
    - `guide_entry`: the full name of the entry that it came from.
    - `is_standing`: that entry's version in use is self-resolving, and has the fingerprint.
    - `replaces`: the full name of the action that it repeats.
    """

    action_type: str
    parameters: Mapping[str, Any] = {}
    description: str = ""
    expected_outcome: str = ""
    target_entities: Sequence[str] = ()
    risk: "Risk.ValueType" = RISK_UNSPECIFIED
    guide_entry: str = ""
    is_standing: bool = False
    replaces: str = ""
