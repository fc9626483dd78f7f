"""Who approves an action: a policy by itself, or a person. Pure.

What an approved action does is decided elsewhere.
"""

from enum import Enum
from typing import NamedTuple

from kintsugi.v1.risk_pb2 import RISK_UNSPECIFIED, Risk

GUIDE_ENTRY = "policies/guide_entry"
"""Approves what a guide entry in use says resolves such an exception by itself."""

THRESHOLD = "policies/threshold"
"""Approves what is at or below the risk that an agent may take by itself."""


class Mode(Enum):
    """What an agent may do by itself."""

    SHADOW = "shadow"
    ACTIVE = "active"
    DISABLED = "disabled"


class Decision(NamedTuple):
    """`policy` is the one that approves, empty if none does; `reason` says why, for people."""

    policy: str
    reason: str

    @property
    def approves(self) -> bool:
        return bool(self.policy)


def decide(
    mode: Mode,
    threshold: Risk.ValueType | None,
    *,
    risk: Risk.ValueType,
    automated: bool,
    standing_risk: Risk.ValueType | None,
) -> Decision:
    """Whether a policy approves an action, or a person has to.

    `standing_risk` is the highest that a person approved in advance, with a guide entry: that holds
    in every mode but DISABLED. `threshold` is the highest risk that the agent may take. None means
    none.
    """
    if not automated:
        return _left_to_people("it is done by a person")
    if mode is Mode.DISABLED:
        return _left_to_people("the agent is disabled")
    if standing_risk is not None and RISK_UNSPECIFIED < risk <= standing_risk:
        return Decision(GUIDE_ENTRY, "its guide entry may resolve by itself")
    if mode is Mode.SHADOW:
        return _left_to_people("the agent is in shadow mode")
    if threshold is None:
        return _left_to_people("the agent has no threshold")
    return _by_threshold(threshold, risk)


def _by_threshold(threshold: Risk.ValueType, risk: Risk.ValueType) -> Decision:
    if risk == RISK_UNSPECIFIED:
        return _left_to_people("its risk isn't known")
    compared = f"{_label(risk)} risk, and the agent may take {_label(threshold)}"
    if risk <= threshold:
        return Decision(THRESHOLD, compared)
    return _left_to_people(compared)


def _left_to_people(reason: str) -> Decision:
    return Decision("", reason)


def _label(risk: Risk.ValueType) -> str:
    return Risk.Name(risk).removeprefix("RISK_").lower()
