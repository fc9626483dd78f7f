"""Which actions of a session are meant: by number, id or name, or all that can be.

What is done with them is decided in `sessions` and `session_watch`.
"""

from collections.abc import Sequence

import click
from kintsugi.v1 import action_pb2
from kintsugi.v1 import agent_session_pb2 as pb


def proposed(session: pb.AgentSession) -> list[action_pb2.Action]:
    return [each for each in session.actions if each.state == action_pb2.Action.STATE_PROPOSED]


def chosen(session: pb.AgentSession, words: Sequence[str], verb: str) -> list[action_pb2.Action]:
    """The actions that the words name; without any, all that are PROPOSED, of which only automated
    ones can be approved. Raises click.ClickException where there is none."""
    if words:
        return [_named(session, word) for word in words]
    found = [each for each in proposed(session) if each.automated or verb != "approve"]
    if not found:
        raise click.ClickException(f"there is nothing to {verb}: `kintsugi sessions show` has all")
    return found


def _named(session: pb.AgentSession, word: str) -> action_pb2.Action:
    for number, action in enumerate(session.actions, 1):
        if word in (str(number), action.name, action.name.rpartition("/")[2]):
            return action
    raise click.ClickException(f"{word!r} is no action of this session")
