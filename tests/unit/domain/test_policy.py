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
    standing: Risk.ValueType | None
    policy: str


CASES = [
    Case(*row)
    for row in (
        (ACTIVE, None, RISK_LOW, True, None, PERSON),
        (ACTIVE, RISK_LOW, RISK_LOW, True, None, THRESHOLD),
        (ACTIVE, RISK_LOW, RISK_MEDIUM, True, None, PERSON),
        (ACTIVE, RISK_HIGH, RISK_MEDIUM, True, None, THRESHOLD),
        (ACTIVE, RISK_HIGH, RISK_HIGH, True, None, THRESHOLD),
        (ACTIVE, RISK_HIGH, RISK_CRITICAL, True, None, PERSON),
        (ACTIVE, RISK_CRITICAL, RISK_CRITICAL, True, None, THRESHOLD),
        (ACTIVE, RISK_CRITICAL, RISK_UNSPECIFIED, True, None, PERSON),
        (ACTIVE, RISK_UNSPECIFIED, RISK_LOW, True, None, PERSON),
        (ACTIVE, None, RISK_LOW, True, RISK_LOW, GUIDE_ENTRY),
        (ACTIVE, None, RISK_CRITICAL, True, RISK_CRITICAL, GUIDE_ENTRY),
        (ACTIVE, RISK_HIGH, RISK_LOW, True, RISK_LOW, GUIDE_ENTRY),
        (ACTIVE, None, RISK_UNSPECIFIED, True, RISK_LOW, PERSON),
        (ACTIVE, None, RISK_MEDIUM, True, RISK_LOW, PERSON),
        (ACTIVE, None, RISK_MEDIUM, True, RISK_HIGH, GUIDE_ENTRY),
        (ACTIVE, RISK_MEDIUM, RISK_MEDIUM, True, RISK_LOW, THRESHOLD),
        (SHADOW, RISK_HIGH, RISK_MEDIUM, True, RISK_LOW, PERSON),
        (SHADOW, None, RISK_LOW, True, None, PERSON),
        (SHADOW, RISK_CRITICAL, RISK_LOW, True, None, PERSON),
        (SHADOW, None, RISK_LOW, True, RISK_LOW, GUIDE_ENTRY),
        (SHADOW, RISK_LOW, RISK_HIGH, True, RISK_HIGH, GUIDE_ENTRY),
        (DISABLED, None, RISK_LOW, True, None, PERSON),
        (DISABLED, RISK_CRITICAL, RISK_LOW, True, None, PERSON),
        (DISABLED, None, RISK_LOW, True, RISK_LOW, PERSON),
        (DISABLED, RISK_CRITICAL, RISK_LOW, True, RISK_LOW, PERSON),
        (ACTIVE, RISK_CRITICAL, RISK_LOW, False, None, PERSON),
        (ACTIVE, RISK_CRITICAL, RISK_LOW, False, RISK_LOW, PERSON),
        (SHADOW, RISK_CRITICAL, RISK_LOW, False, RISK_LOW, PERSON),
        (DISABLED, RISK_CRITICAL, RISK_LOW, False, RISK_LOW, PERSON),
    )
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_who_approves(case: Case) -> None:
    mode, threshold, risk, automated, standing, policy = case
    decision = decide(mode, threshold, risk=risk, automated=automated, standing_risk=standing)
    assert (decision.approves, decision.policy) == (policy != PERSON, policy)
    assert decision.reason


@pytest.mark.parametrize("threshold", RISKS)
def test_a_threshold_lets_through_what_is_not_above_it(threshold: Risk.ValueType) -> None:
    approved = [
        risk
        for risk in RISKS
        if decide(ACTIVE, threshold, risk=risk, automated=True, standing_risk=None).approves
    ]
    assert approved == list(RISKS[: RISKS.index(threshold) + 1])


def test_the_reason_names_both_risks() -> None:
    decision = decide(ACTIVE, RISK_LOW, risk=RISK_HIGH, automated=True, standing_risk=None)
    assert decision.reason == "high risk, and the agent may take low"
