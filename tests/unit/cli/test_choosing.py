"""Which actions are meant when some are approved or rejected."""

import click
import pytest
from kintsugi.v1 import action_pb2
from kintsugi.v1 import agent_session_pb2 as pb

from cli.choosing import chosen

NAME = "organizations/local/workspaces/default/agentSessions/s"
PROPOSED = action_pb2.Action.STATE_PROPOSED


def action(id: str, *, automated: bool = True, state: int = PROPOSED) -> action_pb2.Action:
    return action_pb2.Action(name=f"{NAME}/actions/{id}", automated=automated, state=state)


RAN = action("ran", state=action_pb2.Action.STATE_SUCCEEDED)
RETRY, REVIEW, OTHER = action("retry"), action("review", automated=False), action("other")
SESSION = pb.AgentSession(name=NAME, actions=[RAN, RETRY, REVIEW, OTHER])


def test_without_words_all_that_are_proposed_are_rejected() -> None:
    assert chosen(SESSION, (), "reject") == [RETRY, REVIEW, OTHER]


def test_without_words_only_the_one_that_can_be_is_approved() -> None:
    only = pb.AgentSession(name=NAME, actions=[RAN, REVIEW, OTHER])
    assert chosen(only, (), "approve") == [OTHER]
    with pytest.raises(click.ClickException, match="say which to approve: 2, 4;"):
        chosen(SESSION, (), "approve")


@pytest.mark.parametrize("word", ["2", "retry", RETRY.name])
def test_an_action_is_found_by_number_id_and_name(word: str) -> None:
    assert chosen(SESSION, (word, "4"), "approve") == [RETRY, OTHER]


@pytest.mark.parametrize("word", ["0", "5", "x", ""])
def test_what_is_no_action_is_named(word: str) -> None:
    with pytest.raises(click.ClickException, match=f"'{word}' is no action"):
        chosen(SESSION, (word,), "approve")


def test_nothing_to_approve_is_said() -> None:
    done = pb.AgentSession(name=NAME, actions=[RAN, REVIEW])
    with pytest.raises(click.ClickException, match="nothing to approve"):
        chosen(done, (), "approve")
