"""The action types that are known everywhere: what is built in, and what people do themselves.

A connector of a workspace carries out any other, or one of the latter.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from kintsugi.v1.risk_pb2 import RISK_HIGH, RISK_LOW, RISK_MEDIUM, Risk

RETRY_RUN = "retry_run"
MANUAL_REVIEW = "manual_review"


class ActionType(NamedTuple):
    """What is said of an action of a type, where nothing else is; `steps` are those of a person,
    or of what is built in."""

    description: str
    expected_outcome: str
    steps: tuple[str, ...]
    risk: Risk.ValueType = RISK_MEDIUM
    automated: bool = False


ACTION_TYPES = {
    RETRY_RUN: ActionType(
        "Run the job again",
        "The job ends without an error",
        ("Run the command of the waiting job again",),
        RISK_LOW,
        automated=True,
    ),
    MANUAL_REVIEW: ActionType(
        "Look into it",
        "Somebody knows the cause, and what to do about it",
        ("Read the analysis and the thread", "Find the cause", "Resolve the exception"),
        RISK_LOW,
    ),
    "reprocess_usage_batch": ActionType(
        "Process a batch of usage again",
        "All events of the batch are rated",
        ("Find out what stopped the batch", "Process it again", "Compare the number of events"),
    ),
    "replay_usage_events": ActionType(
        "Send usage events again",
        "No event is missing, and none counts twice",
        ("Find the events that are missing", "Send them again", "Compare the totals"),
    ),
    "recalculate_charges": ActionType(
        "Calculate charges again",
        "The charges agree with the usage and the prices",
        ("Find the charges that are wrong", "Calculate them again", "Compare the totals"),
    ),
    "retry_billing_run": ActionType(
        "Start a billing run again",
        "The run ends, with an invoice for each account",
        ("Find out what stopped the run", "Start it again", "Look at what it made"),
        RISK_HIGH,
    ),
    "backfill_invoices": ActionType(
        "Make invoices that are missing",
        "Each account has its invoice, once",
        ("Find the accounts without an invoice", "Make their invoices", "Look at some of them"),
        RISK_HIGH,
    ),
    "retry_payment_batch": ActionType(
        "Send a batch of payments again",
        "Each payment of the batch is settled, once",
        ("Find the payments that failed", "Send these again", "Look at what was settled"),
        RISK_HIGH,
    ),
    "pause_payment_runs": ActionType(
        "Pause payment runs",
        "No payment is sent until they go on",
        ("Pause the runs", "Tell who waits for them"),
    ),
    "sync_subscription_state": ActionType(
        "Bring the state of subscriptions into line",
        "The systems agree on each subscription",
        ("Compare the systems", "Take over the state of the one that is right"),
    ),
    "repair_entitlements": ActionType(
        "Repair entitlements",
        "Customers may use what they have subscribed to",
        ("Compare entitlements and subscriptions", "Repair those that differ"),
    ),
    "rollback_configuration": ActionType(
        "Go back to an earlier configuration",
        "It works as it did before the change",
        ("Find the change", "Go back to what was before it", "See that it works again"),
        RISK_HIGH,
    ),
    "contact_support": ActionType(
        "Ask the support of the system",
        "They know of it, and say what they do",
        ("Write to them, with the message and the time", "Tell in the thread what they answer"),
        RISK_LOW,
    ),
}
"""By name."""

UNCONNECTED = frozenset({RETRY_RUN, MANUAL_REVIEW, "contact_support"})
"""Which no connector may carry out."""

BY_PEOPLE = UNCONNECTED - {RETRY_RUN}
"""Which nothing but people can carry out."""

FORM = "must be of lower case letters, digits and `_`, begin with a letter, and have at most 63"

_PATTERN = re.compile(r"[a-z][a-z0-9_]{0,62}")


_EXEC = "exec"
"""What `extra.retry` of an exception says as long as `kintsugi exec` waits for its run."""


def is_waited_for(extra: Mapping[str, str]) -> bool:
    """Whether somebody waits who would run the job of an exception with this `extra` again."""
    return extra.get("retry") == _EXEC


def is_action_type(text: str) -> bool:
    """Whether it is as FORM says; whether anything carries it out is another matter."""
    return _PATTERN.fullmatch(text) is not None
