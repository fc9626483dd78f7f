"""Who approves what, as one table."""

from typing import NamedTuple

import pytest
from kintsugi.v1.risk_pb2 import (
    RISK_CRITICAL,
    RISK_HIGH,
    RISK_LOW,
    RISK_MEDIUM,
    RISK_UNSPECIFIED,
    Risk,
)

from server.domain.policy import GUIDE_ENTRY, THRESHOLD, Mode, decide

SHADOW, ACTIVE, DISABLED = Mode.SHADOW, Mode.ACTIVE, Mode.DISABLED
PERSON = ""
RISKS = (RISK_LOW, RISK_MEDIUM, RISK_HIGH, RISK_CRITICAL)


class Case(NamedTuple):
    mode: Mode
    threshold: Risk.ValueType | None
    risk: Risk.ValueType
    automated: bool
    is_standing: bool
    policy: str


CASES = [
    Case(*row)
    for row in (
        (ACTIVE, None, RISK_LOW, True, False, PERSON),
        (ACTIVE, RISK_LOW, RISK_LOW, True, False, THRESHOLD),
        (ACTIVE, RISK_LOW, RISK_MEDIUM, True, False, PERSON),
        (ACTIVE, RISK_HIGH, RISK_MEDIUM, True, False, THRESHOLD),
        (ACTIVE, RISK_HIGH, RISK_HIGH, True, False, THRESHOLD),
        (ACTIVE, RISK_HIGH, RISK_CRITICAL, True, False, PERSON),
        (ACTIVE, RISK_CRITICAL, RISK_CRITICAL, True, False, THRESHOLD),
        (ACTIVE, RISK_CRITICAL, RISK_UNSPECIFIED, True, False, PERSON),
        (ACTIVE, RISK_UNSPECIFIED, RISK_LOW, True, False, PERSON),
        (ACTIVE, None, RISK_LOW, True, True, GUIDE_ENTRY),
        (ACTIVE, None, RISK_CRITICAL, True, True, GUIDE_ENTRY),
        (ACTIVE, RISK_HIGH, RISK_LOW, True, True, GUIDE_ENTRY),
        (ACTIVE, None, RISK_UNSPECIFIED, True, True, GUIDE_ENTRY),
        (SHADOW, None, RISK_LOW, True, False, PERSON),
        (SHADOW, RISK_CRITICAL, RISK_LOW, True, False, PERSON),
        (SHADOW, None, RISK_LOW, True, True, GUIDE_ENTRY),
        (SHADOW, RISK_LOW, RISK_HIGH, True, True, GUIDE_ENTRY),
        (DISABLED, None, RISK_LOW, True, False, PERSON),
        (DISABLED, RISK_CRITICAL, RISK_LOW, True, False, PERSON),
        (DISABLED, None, RISK_LOW, True, True, PERSON),
        (DISABLED, RISK_CRITICAL, RISK_LOW, True, True, PERSON),
        (ACTIVE, RISK_CRITICAL, RISK_LOW, False, False, PERSON),
        (ACTIVE, RISK_CRITICAL, RISK_LOW, False, True, PERSON),
        (SHADOW, RISK_CRITICAL, RISK_LOW, False, True, PERSON),
        (DISABLED, RISK_CRITICAL, RISK_LOW, False, True, PERSON),
    )
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_who_approves(case: Case) -> None:
    mode, threshold, risk, automated, is_standing, policy = case
    decision = decide(mode, threshold, risk=risk, automated=automated, is_standing=is_standing)
    assert (decision.approves, decision.policy) == (policy != PERSON, policy)
    assert decision.reason


@pytest.mark.parametrize("threshold", RISKS)
def test_a_threshold_lets_through_what_is_not_above_it(threshold: Risk.ValueType) -> None:
    approved = [
        risk
        for risk in RISKS
        if decide(ACTIVE, threshold, risk=risk, automated=True, is_standing=False).approves
    ]
    assert approved == list(RISKS[: RISKS.index(threshold) + 1])


def test_the_reason_names_both_risks() -> None:
    decision = decide(ACTIVE, RISK_LOW, risk=RISK_HIGH, automated=True, is_standing=False)
    assert decision.reason == "high risk, and the agent may take low"
