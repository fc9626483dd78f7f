"""The reasoner `guide` on a real database: what it reads, and that it reads each thing once."""

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from google.protobuf.struct_pb2 import Struct
from kintsugi.v1 import agent_session_pb2 as pb
from kintsugi.v1.risk_pb2 import RISK_HIGH, RISK_LOW

from server.domain.fingerprint import fingerprint
from server.domain.names import WorkspaceName
from server.operations.conclusion import Conclusion
from server.sessions.reasoner import Subject
from server.sessions.reasoners.guide import GuideReasoner
from server.store.connection import Database
from server.store.notifier import Notifier
from server.store.store import Store
from tests.integration.client import WORKSPACE, Client
from tests.integration.sessions import TYPE, connect
from tests.integration.test_guide_entries import Guides

PARENT = WorkspaceName("local", "default")
BILLING = f"{WORKSPACE}/automations/billing"
ORDERING = f"{WORKSPACE}/automations/ordering"
SELECTED = pb.Analysis.OUTCOME_WORKFLOW_SELECTED


class Journal:
    """Work that remembers what was done, as JSON."""

    def __init__(self) -> None:
        self.results: dict[str, str] = {}
        self.thoughts: dict[str, str] = {}

    def tool(self, key: str, title: str, input: str, run: Callable[[], Any]) -> Any:
        if key not in self.results:
            self.results[key] = json.dumps(run())
        return json.loads(self.results[key])

    def think(self, key: str, text: str) -> None:
        self.thoughts[key] = text

    def say(self, key: str, text: str) -> None:
        self.thoughts[key] = text

    def check(self) -> None:
        pass


class Bench:
    """A server, its database, and the reasoner on it."""

    def __init__(self, client: Client, database: str) -> None:
        self.client = client
        self.guides = Guides(client)
        self.url = database
        self._database = Database(database, 1)
        self.store = Store(self._database, Notifier(self._database))

    def close(self) -> None:
        self._database.close()

    def sql(self, statement: str, *parameters: Any) -> None:
        with psycopg.connect(self.url) as connection:
            connection.execute(statement, parameters)

    def raised(self, message: str, automation: str = BILLING, **fields: Any) -> Any:
        """An exception that a worker has taken in."""
        run = f"{automation}/runs/{uuid.uuid4().hex}"
        made = self.client.raise_one(run=run, message=message, **fields)
        self.sql(
            "UPDATE exceptions SET fingerprint = %s WHERE id = %s",
            fingerprint(message),
            made.name.rpartition("/")[2],
        )
        return made

    def resolved(self, message: str, note: str, automation: str = BILLING) -> Any:
        made = self.raised(message, automation)
        return self.client.resolve(made.name, resolution_note=note)

    def approved(self, automation: str = BILLING, **fields: Any) -> Any:
        made = self.guides.create(automation, **fields)
        return self.guides.act("Approve", made.name)

    def analyse(self, exception: Any, work: Journal | None = None) -> Conclusion:
        subject = Subject(self.store.workspace_key(PARENT), PARENT, pb.AgentSession(), exception)
        return GuideReasoner(self.store).analyse(subject, work or Journal())

    def ask(self, question: str, work: Journal | None = None) -> str:
        subject = Subject(self.store.workspace_key(PARENT), PARENT, pb.AgentSession(), None)
        return GuideReasoner(self.store).answer(subject, question, work or Journal()).text

    def act(self, exception: Any, entry: Any, state: int) -> None:
        """Keeps an action of an entry on an exception, as it ended."""
        self.sql(
            "INSERT INTO actions (workspace, session, id, exception, action_type, automated, risk,"
            " state, connector, connector_revision, guide_entry, replaces, digest, content,"
            " position) SELECT uid, 's', %s, %s, 'x', true, 1, %s, '', 0, %s, '', '', '', 1"
            " FROM workspaces WHERE organization = 'local' AND id = 'default'",
            uuid.uuid4().hex,
            exception.name.rpartition("/")[2],
            state,
            entry.name.rpartition("/")[2],
        )


@pytest.fixture
def bench(client: Client, database: str) -> Iterator[Bench]:
    made = Bench(client, database)
    yield made
    made.close()


def test_an_entry_learned_from_the_same_failure_is_chosen_and_stands(bench: Bench) -> None:
    source = bench.resolved("invoice 17 has no total", "Added it.")
    parameters = Struct()
    parameters.update({"batch": "b-7"})
    entry = bench.approved(
        title="No total",
        root_cause="The export leaves it out.",
        source_exception=source.name,
        action_type="reprocess_usage_batch",
        action_parameters=parameters,
        action_risk=RISK_LOW,
        self_resolving=True,
    )
    found = bench.analyse(bench.raised("invoice 18 has no total"))
    [action] = found.actions
    assert (action.guide_entry, action.is_standing) == (entry.name, True)
    assert (action.action_type, dict(action.parameters)) == (
        "reprocess_usage_batch",
        {"batch": "b-7"},
    )
    assert found.analysis.investigation_outcome == SELECTED
    assert found.analysis.root_cause == "The export leaves it out."
    assert found.analysis.confidence == pytest.approx(0.9)

    elsewhere = bench.analyse(bench.raised("invoice 19 has no total", ORDERING))
    assert not any(action.is_standing for action in elsewhere.actions)


def test_the_version_in_use_is_read_whatever_a_newer_one_says(bench: Bench) -> None:
    source = bench.raised("invoice 17 has no total")
    entry = bench.approved(resolution_steps="Add it.", source_exception=source.name)
    bench.guides.update(entry.name, "resolution_steps", resolution_steps="Delete everything.")
    [action] = bench.analyse(bench.raised("invoice 18 has no total")).actions
    assert action.description == "Add it."


def test_what_is_not_approved_or_deleted_is_not_used(bench: Bench) -> None:
    source = bench.raised("invoice 17 has no total")
    bench.guides.create(BILLING, resolution_steps="Pending.", source_exception=source.name)
    gone = bench.approved(resolution_steps="Gone.", source_exception=source.name)
    bench.guides.act("Delete", gone.name)
    found = bench.analyse(bench.raised("invoice 18 has no total"))
    assert found.analysis.investigation_outcome == pb.Analysis.OUTCOME_INCONCLUSIVE
    assert [action.action_type for action in found.actions] == ["manual_review"]


def test_what_worked_makes_it_surer_and_what_failed_less(bench: Bench) -> None:
    source = bench.raised("invoice 17 has no total")
    entry = bench.approved(resolution_steps="Add it.", source_exception=source.name)
    again = bench.raised("invoice 18 has no total")
    for state in (4, 5, 6, 7):  # SUCCEEDED, FAILED, UNKNOWN, REJECTED
        bench.act(source, entry, state)
    assert bench.analyse(again).analysis.confidence == pytest.approx(0.54)
    bench.sql(
        "UPDATE exceptions SET state = 2, resolution_guide_entry = %s WHERE id = %s",
        entry.name.rpartition("/")[2],
        source.name.rpartition("/")[2],
    )
    assert bench.analyse(again).analysis.confidence == pytest.approx(0.617)


def test_what_people_did_about_the_same_failure_is_found(bench: Bench) -> None:
    for number in range(3):
        bench.resolved(f"invoice {number} has no total", "Added the total.")
    bench.resolved("invoice 7 has no total", "Waited.")
    [action] = bench.analyse(bench.raised("invoice 18 has no total")).actions
    assert (action.action_type, action.description) == ("manual_review", "Added the total.")


def test_what_people_did_about_a_failure_that_reads_alike_is_told(bench: Bench) -> None:
    resolved = bench.resolved(
        "the nightly export to the tax office was refused", "Sent it by hand."
    )
    subject = bench.raised("nightly export to tax office: was refused once more")
    found = bench.analyse(subject)
    told = [found.analysis.selected_workflow, *found.analysis.alternative_workflows]
    assert resolved.name in [each.workflow for each in told]


def test_a_pattern_is_counted_over_automations_without_the_subject_itself(bench: Bench) -> None:
    for automation in (BILLING, ORDERING, ORDERING):
        bench.raised("invoice 17 has no total", automation)
    bench.raised("another thing")
    work = Journal()
    found = bench.analyse(bench.raised("invoice 18 has no total"), work)
    pattern = json.loads(work.results["pattern"])
    assert pattern["others"] == pattern["last_hour"] == pattern["pending"] == 3
    assert pattern["automations"] == ["billing", "ordering"]
    assert pattern["usual"] == 0
    assert found.analysis.systemic
    assert "raised 4 times since 20" in found.analysis.pattern_description


def test_the_same_hour_of_the_days_before_is_compared_with(bench: Bench) -> None:
    for days in (1, 1, 3, 8):
        before = bench.raised("invoice 17 has no total")
        bench.sql(
            "UPDATE exceptions SET create_time = create_time - %s * interval '1 day' WHERE id = %s",
            days,
            before.name.rpartition("/")[2],
        )
    work = Journal()
    bench.analyse(bench.raised("invoice 18 has no total"), work)
    pattern = json.loads(work.results["pattern"])
    assert (pattern["others"], pattern["last_hour"]) == (4, 0)
    assert pattern["usual"] == pytest.approx(3 / 7, abs=0.01)


def test_an_exception_that_nobody_has_taken_in_yet_is_analysed_all_the_same(bench: Bench) -> None:
    bench.raised("invoice 17 has no total")
    fresh = bench.client.raise_one(
        run=f"{BILLING}/runs/9", message="invoice 18 has no total", extra={"retry": "exec"}
    )
    work = Journal()
    found = bench.analyse(fresh, work)
    assert json.loads(work.results["pattern"])["others"] == 1
    assert [action.action_type for action in found.actions] == ["manual_review", "retry_run"]


def test_what_was_done_before_it_was_taken_up_again_is_not_read_anew(bench: Bench) -> None:
    subject = bench.raised("invoice 18 has no total")
    work = Journal()
    first = bench.analyse(subject, work)
    done = dict(work.results)
    assert set(done) == {"pattern", "guides", "past"}
    bench.approved(title="Invoice without a total", resolution_steps="Add the total.")
    assert bench.analyse(subject, work) == first
    assert work.results == done


def test_what_is_resolved_meanwhile_needs_nothing(bench: Bench) -> None:
    resolved = bench.resolved("invoice 17 has no total", "Added it.")
    work = Journal()
    found = bench.analyse(resolved, work)
    assert found.analysis.investigation_outcome == pb.Analysis.OUTCOME_RESOLVED
    assert (list(found.actions), work.results) == ([], {})


def test_a_signal_is_analysed_with_the_guides_of_all_automations(bench: Bench) -> None:
    source = bench.raised("batch 7 of payments failed")
    entry = bench.approved(resolution_steps="Send it again.", source_exception=source.name)
    session = pb.AgentSession(
        signal={"title": "BatchFailed", "message": "batch 8 of payments failed"}
    )
    subject = Subject(bench.store.workspace_key(PARENT), PARENT, session, None)
    found = GuideReasoner(bench.store).analyse(subject, Journal())
    assert found.analysis.selected_workflow.workflow == entry.name
    assert found.analysis.confidence == pytest.approx(0.7)
    assert found.group == ""


def test_another_workspace_is_not_looked_into(bench: Bench) -> None:
    bench.raised("invoice 17 has no total")
    bench.sql("UPDATE exceptions SET workspace = gen_random_uuid()")
    work = Journal()
    subject = bench.client.raise_one(run=f"{BILLING}/runs/1", message="invoice 18 has no total")
    bench.analyse(subject, work)
    assert json.loads(work.results["pattern"])["others"] == 0


def test_the_connector_that_the_approver_saw_is_told(bench: Bench) -> None:
    connect(bench.client)
    source = bench.raised("invoice 17 has no total")
    entry = bench.approved(
        source_exception=source.name,
        action_type=TYPE,
        action_risk=RISK_HIGH,
        self_resolving=True,
    )
    [action] = bench.analyse(bench.raised("invoice 18 has no total")).actions
    assert (action.guide_entry, action.connector) == (entry.name, "billing")
    assert (action.connector_revision, action.risk) == (1, RISK_HIGH)


def test_what_the_service_wrote_itself_is_not_what_helped(bench: Bench) -> None:
    same = bench.resolved("invoice 17 has no total", "Run the job again (retry_run).")
    alike = bench.resolved("invoice without a total", "Run the job again (retry_run).")
    bench.sql("UPDATE exceptions SET resolver = 'agents/resolution_agent'")
    work = Journal()
    bench.analyse(bench.raised("invoice 18 has no total"), work)
    assert json.loads(work.results["past"]) == []
    for exception in (same, alike):
        bench.sql(
            "INSERT INTO agent_sessions (workspace, id, exception, agent, creator, start, note)"
            " SELECT workspace, id, id, 'agents/resolution_agent', 'users/local', 1,"
            " resolution_note FROM exceptions WHERE id = %s",
            exception.name.rpartition("/")[2],
        )
    work = Journal()
    bench.analyse(bench.raised("invoice 18 has no total"), work)
    assert [each["name"] for each in json.loads(work.results["past"])] == [same.name, alike.name]


def test_a_question_finds_what_was_done_anywhere(bench: Bench) -> None:
    done = bench.resolved("invoice 17 has no total", "Added it.", ORDERING)
    assert done.name in bench.ask("invoice 18 has no total")
    assert "Added it." in bench.ask("invoice 18 has no total")
    said = bench.ask("why does an invoice have no total?")
    assert done.name in said


def test_a_question_is_looked_up_once(bench: Bench) -> None:
    work = Journal()
    first = bench.ask("invoice 18 has no total", work)
    bench.resolved("invoice 17 has no total", "Added it.")
    assert bench.ask("invoice 18 has no total", work) == first
    assert sorted(work.results) == ["guides", "past"]
