"""What workers make of chats: each message is answered once, in order, and an idle chat ends."""

import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from kintsugi.v1 import agent_session_pb2 as pb
from kintsugi.v1 import agent_session_service_pb2 as service

from server.config import Settings
from server.sessions.reasoner import Answer, Subject, Work
from server.sessions.reasoners.guide import GuideReasoner
from server.sessions.task import Task
from server.worker import Worker
from tests.integration.client import Client
from tests.integration.test_guide_entries import Guides
from tests.integration.working import SECONDS, Said, Sessions, working

BILLING = "organizations/local/workspaces/default/automations/billing"


@pytest.fixture
def sessions(client: Client) -> Sessions:
    return Sessions(client)


def end(sessions: Sessions, chat: pb.AgentSession) -> None:
    sessions.sessions.EndAgentSession(service.EndAgentSessionRequest(name=chat.name))


def age(database: str, hours: int) -> None:
    """All that is said of the times of sessions is so much earlier."""
    with psycopg.connect(database) as connection:
        connection.execute(
            "UPDATE agent_sessions SET due_time = due_time - make_interval(hours => %(hours)s),"
            " expire_time = expire_time - make_interval(hours => %(hours)s)",
            {"hours": hours},
        )


def row(database: str, what: str) -> Any:
    with psycopg.connect(database) as connection:
        [(found,)] = connection.execute(f"SELECT {what} FROM agent_sessions").fetchall()  # type: ignore[arg-type]
    return found


def test_each_message_is_answered_once_in_its_order(database, sessions):
    reasoner = Said()
    chat = sessions.chat()
    with working(database, reasoner):
        for number in range(3):
            sessions.ask(chat, f"Question {number}?")
        sessions.wait_for_answer(chat, "About: Question 2?")
        sessions.ask(chat, "And then?")
        sessions.wait_for_answer(chat, "About: And then?")
    answers = [said for said in sessions.said(chat) if said.startswith("About: ")]
    assert answers == [f"About: Question {n}?" for n in range(3)] + ["About: And then?"]
    assert len(reasoner.runs) == 4
    found = sessions.get(chat.name)
    assert (found.prompt_token_count, found.completion_token_count) == (12, 16)


def test_a_tool_call_of_an_answer_is_told(database, sessions, client):
    chat = sessions.chat()
    with working(database, Said()):
        for question in ("Why?", "How?"):
            sessions.ask(chat, question)
            sessions.wait_for_answer(chat, f"About: {question}")
    events = client.list_events(chat.name, page_size=100).events
    called = [each.tool_call_request for each in events if each.HasField("tool_call_request")]
    assert [each.input for each in called] == ["How?", "Why?"]
    ids = {each.tool_call_id for each in called}
    results = [each.tool_call_result for each in events if each.HasField("tool_call_result")]
    assert {each.tool_call_id for each in results} == ids
    assert len(ids) == 2


def test_what_was_asked_during_an_answer_is_answered_after_it(database, sessions):
    chat = sessions.chat()
    asked = []

    def ask_more(_: Work) -> None:
        if not asked:
            asked.append(sessions.ask(chat, "Second?"))

    with working(database, Said(before=ask_more)):
        sessions.ask(chat, "First?")
        sessions.wait_for_answer(chat, "About: Second?")
    said = [each for each in sessions.said(chat) if each.startswith("About: ")]
    assert said == ["About: First?", "About: Second?"]


def test_an_answered_chat_waits_a_day_and_keeps_no_steps(database, sessions):
    chat = sessions.chat()
    with working(database, Said()):
        sessions.ask(chat, "Why?")
        sessions.wait_for_answer(chat, "About: Why?")
        sessions.wait_until(lambda: row(database, "lease IS NULL"))
    assert row(database, "due_time > clock_timestamp() + interval '23 hours'")
    assert row(database, "due_time - expire_time BETWEEN '-1 s' AND '1 s'")
    assert row(database, "analyse_until IS NULL")
    assert row(database, "(SELECT count(*) FROM session_steps)") == 0


def test_a_chat_in_which_nobody_writes_ends(database, sessions):
    idle, busy = sessions.chat(), sessions.chat()
    age(database, 20)
    sessions.ask(busy, "Are you there?")
    age(database, 5)
    with working(database, Said()):
        ended = sessions.wait(idle.name, "ENDED")
        sessions.wait_for_answer(busy, "About: Are you there?")
    assert ended.error == "nobody wrote for 24 hours"
    assert ended.HasField("end_time")
    assert "nobody wrote for 24 hours" in sessions.said(idle)[-1]
    assert sessions.get(busy.name).state == pb.AgentSession.STATE_ACTIVE


def test_what_was_asked_in_time_is_answered_before_the_end(database, sessions):
    chat = sessions.chat()
    sessions.ask(chat, "Why?")
    age(database, 25)
    with working(database, Said()):
        sessions.wait(chat.name, "ENDED")
    assert "About: Why?" in sessions.said(chat)


def test_an_answer_that_takes_too_long_is_given_up_and_the_next_is_not(database, sessions):
    release = threading.Event()

    class Slow(Said):
        def answer(self, subject: Subject, question: str, work: Work) -> Answer:
            while question == "Slow?" and not release.wait(0.01):
                work.check()
            return super().answer(subject, question, work)

    chat = sessions.chat()
    with working(database, Slow(), analysis_seconds=1):
        sessions.ask(chat, "Slow?")
        sessions.ask(chat, "Quick?")
        sessions.wait_for_answer(chat, "About: Quick?")
    said = sessions.said(chat)
    assert "the answer took longer than 1 s" in said
    assert "About: Slow?" not in said


def test_an_answer_that_fails_each_time_is_given_up(database, sessions, monkeypatch):
    monkeypatch.setattr("server.sessions.runtime._PAUSE_SECONDS", 0)

    class Broken(Said):
        def answer(self, subject: Subject, question: str, work: Work) -> Answer:
            if question == "Broken?":
                self.runs.append(question)
                raise ValueError
            return super().answer(subject, question, work)

    reasoner, chat = Broken(), sessions.chat()
    with working(database, reasoner):
        sessions.ask(chat, "Broken?")
        sessions.ask(chat, "Whole?")
        sessions.wait_for_answer(chat, "About: Whole?")
    assert reasoner.runs.count("Broken?") == 5
    assert "the answer was begun 5 times, and never came to its end" in sessions.said(chat)


def test_nothing_is_answered_after_the_end(database, sessions, monkeypatch):
    went_on = threading.Event()
    monkeypatch.setattr(Task, "seen", lambda *_: None)  # as long as its worker hasn't noticed
    chat = sessions.chat()

    def end_it(_: Work) -> None:
        end(sessions, chat)
        went_on.set()

    with working(database, Said(before=end_it)):
        sessions.ask(chat, "Why?")
        assert went_on.wait(SECONDS)
        sessions.wait_until(lambda: row(database, "lease IS NULL AND due_time IS NULL"))
    assert sessions.said(chat)[-1] == "Ended."


def test_the_sweep_leaves_chats_about_what_was_dealt_with(database, client, sessions):
    exception = client.raise_one()
    chat = sessions.chat(exception=exception.name)
    client.resolve(exception.name)
    with working(database, Said(), lease_seconds=5):
        other = sessions.start(client.raise_one().name, start=pb.AgentSession.START_ON_PROPOSE)
        client.resolve(other.exception)
        sessions.wait(other.name, "CANCELLED")
        sessions.ask(chat, "What was done?")
        sessions.wait_for_answer(chat, "About: What was done?")
    assert sessions.get(chat.name).state == pb.AgentSession.STATE_ACTIVE


@pytest.fixture
def guided(database: str, client: Client) -> Iterator[Guides]:
    """A worker that answers by guide entries."""
    worker = Worker(Settings(database_url=database, grace_seconds=1), GuideReasoner)
    yield Guides(client)
    worker.stop()


def test_a_guide_entry_that_fits_is_the_answer(sessions, guided):
    made = guided.create(
        BILLING,
        title="Invoice without a total",
        root_cause="The export leaves it out.",
        resolution_steps="Add the missing total of the invoice by hand.",
    )
    guided.act("Approve", made.name)
    chat = sessions.chat()
    sessions.ask(chat, "What do I do about an invoice whose total is missing?")
    sessions.wait_for_answer(chat, "**Invoice")
    [answer] = [said for said in sessions.said(chat) if said.startswith("**Invoice")]
    assert made.name in answer
    assert "Add the missing total of the invoice by hand." in answer
    assert "The export leaves it out." in answer
    assert "another automation" not in answer


def test_a_chat_about_an_exception_starts_from_it(client, sessions, guided):
    source = client.raise_one(message="invoice 17 has no total")
    client.resolve(source.name)
    made = guided.create(BILLING, title="No total", source_exception=source.name)
    guided.act("Approve", made.name)
    again = client.raise_one(message="invoice 18 has no total")
    chat = sessions.chat(exception=again.name)
    sessions.ask(chat, "What helps?")
    sessions.wait_for_answer(chat, "**No total")
    [answer] = [said for said in sessions.said(chat) if said.startswith("**No total")]
    assert made.name in answer
    assert "learned from the same failure" in answer


def test_who_knows_nothing_says_so(sessions, guided):
    chat = sessions.chat()
    sessions.ask(chat, "What is the weather like?")
    sessions.wait_for_answer(chat, "I know nothing about that")
