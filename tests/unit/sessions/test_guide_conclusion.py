"""What is concluded from what was found out, rule by rule."""

from typing import Any

import pytest
from kintsugi.v1 import agent_session_pb2 as pb
from kintsugi.v1 import exception_pb2
from kintsugi.v1.automation_stage_pb2 import AUTOMATION_STAGE_PUBLISHED
from kintsugi.v1.risk_pb2 import RISK_HIGH

from server.sessions.reasoners.conclusion import Findings, conclude, dealt_with
from server.sessions.reasoners.findings import Guide, Past, Pattern

PARENT = "organizations/o/workspaces/w"
RUN = f"{PARENT}/automations/billing/runs/r7"
ENTRY = f"{PARENT}/automations/billing/guideEntries/g"
ISOLATED = Pattern(automations=["billing"])
SURE = {"confidence": 0.9, "is_same": True}


def an_exception(**fields: Any) -> exception_pb2.Exception:
    known = {"run": RUN, "message": "KeyError: 'total'", "occurrence_count": 1}
    return exception_pb2.Exception(**(known | fields))


def concluded(
    guides: tuple[Guide, ...] = (),
    past: tuple[Past, ...] = (),
    pattern: Pattern = ISOLATED,
    **fields: Any,
):
    exception = an_exception(**fields)
    return conclude(Findings(pb.AgentSession(), exception, pattern, guides, past))


def types(conclusion):
    return [action.action_type for action in conclusion.actions]


def test_nothing_known_is_said_so():
    found = concluded(message="oops")
    analysis = found.analysis
    assert analysis.investigation_outcome == pb.Analysis.OUTCOME_INCONCLUSIVE
    assert analysis.confidence == pytest.approx(0.1)
    assert analysis.root_cause.startswith("Not known")
    assert not analysis.actionable
    assert not analysis.HasField("selected_workflow")
    assert types(found) == ["manual_review"]
    assert found.group == ""


def test_the_kind_of_failure_alone_is_little():
    found = concluded()
    assert found.analysis.confidence == pytest.approx(0.2)
    assert found.analysis.root_cause == (
        "Not known for certain. A value that was needed was missing."
    )
    assert found.group == "missing_values"


def test_a_group_that_it_has_is_left():
    assert concluded(group=f"{PARENT}/exceptionGroups/internal_error").group == ""


def test_what_is_not_sure_is_an_alternative_only():
    found = concluded((Guide(ENTRY, "No total", confidence=0.49),))
    assert types(found) == ["manual_review"]
    assert found.analysis.confidence == pytest.approx(0.49)
    [alternative] = found.analysis.alternative_workflows
    assert (alternative.workflow, alternative.title) == (ENTRY, "No total")


def test_a_guide_that_names_an_action_proposes_it():
    guide = Guide(
        ENTRY,
        "No total",
        root_cause="The export leaves it out.",
        action_type="reprocess_usage_batch",
        parameters={"batch": "b-7"},
        risk=RISK_HIGH,
        worked=2,
        **SURE,
    )
    found = concluded((guide,))
    [action] = found.actions
    assert (action.action_type, action.parameters, action.risk) == (
        "reprocess_usage_batch",
        {"batch": "b-7"},
        RISK_HIGH,
    )
    assert (action.guide_entry, action.is_standing) == (ENTRY, False)
    assert list(action.target_entities) == [RUN]
    assert action.description == ""  # that of its type, or of its connector
    analysis = found.analysis
    assert analysis.investigation_outcome == pb.Analysis.OUTCOME_WORKFLOW_SELECTED
    assert analysis.actionable
    assert analysis.root_cause == "The export leaves it out."
    assert analysis.selected_workflow.parameters["batch"] == "b-7"
    assert analysis.selected_workflow.rationale == (
        "learned from the same failure; it worked 2 times"
    )


def test_what_may_resolve_by_itself_is_proposed_as_standing_whatever_else_is_sure():
    standing = Guide(ENTRY, "a", action_type="x", is_standing=True, **SURE)
    past = Past("exceptions/1", "Did it by hand", is_same=True, confidence=0.95)
    [action] = concluded((standing,), (past,)).actions
    assert (action.action_type, action.is_standing) == ("x", True)


def test_a_guide_without_an_action_is_for_people():
    found = concluded((Guide(ENTRY, "No total", steps="Add the total.", **SURE),))
    [action] = found.actions
    assert (action.action_type, action.description) == ("manual_review", "Add the total.")
    assert action.guide_entry == ENTRY
    assert not found.analysis.actionable


def test_a_guide_that_says_only_why_is_no_workflow():
    found = concluded((Guide(ENTRY, "No total", root_cause="A bug.", **SURE),))
    assert found.analysis.investigation_outcome == pb.Analysis.OUTCOME_NO_WORKFLOW
    assert found.analysis.root_cause == "A bug."


def test_what_people_once_did_is_told():
    past = Past("exceptions/1", "Added the total.\nTold sales.", is_same=True, confidence=0.92)
    found = concluded((), (past,))
    assert found.actions[0].expected_outcome == "The exception can be resolved, as it was before"
    [action] = found.actions
    assert (action.action_type, action.description) == ("manual_review", past.note)
    selected = found.analysis.selected_workflow
    assert (selected.workflow, selected.title) == ("exceptions/1", "Added the total.")
    assert selected.rationale == "learned from the same failure; that resolved it once"


RETRY = Guide(ENTRY, "Again", steps="Run it again.", action_type="retry_run", **SURE)


def test_running_again_is_proposed_only_where_somebody_waits_for_it():
    assert types(concluded(extra={"retry": "exec"})) == ["manual_review", "retry_run"]
    assert types(concluded(extra={"retry": "later"})) == ["manual_review"]
    assert types(concluded((RETRY,), extra={"retry": "exec"})) == ["retry_run"]
    assert types(concluded((RETRY,))) == ["manual_review"]
    other = Guide(ENTRY, "x", action_type="sync_subscription_state", **SURE)
    assert types(concluded((other,), extra={"retry": "exec"})) == [
        "sync_subscription_state",
        "retry_run",
    ]
    assert concluded(extra={"retry": "exec"}).analysis.actionable


def test_an_analysis_says_what_is_affected_and_where_in_its_life_it_is():
    analysis = concluded(
        pattern=Pattern(others=3, automations=["billing", "ordering"], pending=2),
        message="connection refused by https://erp.example.com/x",
        stage=AUTOMATION_STAGE_PUBLISHED,
        location={"start_byte": 1, "end_byte": 9},
        occurrence_count=2,
    ).analysis
    assert analysis.systemic
    assert analysis.pattern_description == "raised 5 times, in billing and ordering"
    assert list(analysis.affected_systems) == ["billing", "ordering", "erp.example.com"]
    assert "published and runs for real" in analysis.impact
    assert "2 others with the same failure are pending" in analysis.impact
    assert analysis.lifecycle_context.startswith(
        "Automation billing (published) → run r7 → broken off at bytes 1 to 9, 2 times by now"
    )
    assert analysis.remediation_target == RUN
    assert analysis.detected_labels["failure_kind"] == "unreachable"
    for said in (analysis.root_cause, analysis.impact, analysis.pattern_description):
        assert said in analysis.summary


def test_a_signal_is_analysed_like_an_exception():
    signal = pb.Signal(title="BatchFailed", message="HTTP 503 from x", severity="high")
    session = pb.AgentSession(signal=signal)
    found = conclude(Findings(session, None, Pattern(), (), ()))
    assert types(found) == ["manual_review"]
    assert found.analysis.remediation_target == "BatchFailed"
    assert "severity high" in found.analysis.impact
    assert "BatchFailed" in found.analysis.lifecycle_context
    assert (found.group, found.analysis.systemic) == ("", False)


def test_what_is_dealt_with_needs_nothing():
    found = dealt_with(an_exception(state=exception_pb2.EXCEPTION_STATE_RESOLVED))
    assert found.analysis.investigation_outcome == pb.Analysis.OUTCOME_RESOLVED
    assert list(found.actions) == []
    assert found.analysis.summary


def test_a_long_note_is_cut_to_what_a_description_may_have():
    past = Past("exceptions/1", "ü" * 4000, is_same=True, confidence=0.92)
    [action] = concluded((), (past,)).actions
    assert 3900 < len(action.description.encode()) <= 4096


def test_what_hardly_fits_is_no_alternative():
    fits = Guide(f"{ENTRY}1", "No total", confidence=0.3)
    hardly = Guide(f"{ENTRY}2", "No price", confidence=0.29)
    found = concluded((fits, hardly), (Past("exceptions/1", "Waited", confidence=0.1),))
    assert [each.workflow for each in found.analysis.alternative_workflows] == [fits.name]


def test_it_is_said_that_an_entry_goes_before_a_note():
    past = Past("exceptions/1", "Did it by hand", is_same=True, confidence=0.9)
    found = concluded((Guide(ENTRY, "a", action_type="x", **SURE),), (past,))
    assert found.analysis.selected_workflow.rationale == (
        "learned from the same failure; a guide entry goes before a note"
    )
