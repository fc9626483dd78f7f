"""Which actions of a session are meant: by number, id or name, or all that can be.

What is done with them is decided in `sessions` and `session_watch`.
"""

from collections.abc import Sequence

import click
from kintsugi.v1 import action_pb2
from kintsugi.v1 import agent_session_pb2 as pb


def proposed(session: pb.AgentSession) -> list[action_pb2.Action]:
    return [each for each in session.actions if each.state == action_pb2.Action.STATE_PROPOSED]


def approvable(session: pb.AgentSession) -> list[action_pb2.Action]:
    return [each for each in proposed(session) if each.automated]


def numbers(session: pb.AgentSession, actions: Sequence[action_pb2.Action]) -> list[str]:
    """What they are called in tables."""
    return [str(1 + list(session.actions).index(each)) for each in actions]


def chosen(session: pb.AgentSession, words: Sequence[str], verb: str) -> list[action_pb2.Action]:
    """The actions that the words name. Without any, all that are PROPOSED; but to approve, the
    only one that can be: what nobody has seen isn't meant. Raises click.ClickException."""
    if words:
        return [_named(session, word) for word in words]
    found = approvable(session) if verb == "approve" else proposed(session)
    if not found:
        raise click.ClickException(f"there is nothing to {verb}: `kintsugi sessions show` has all")
    if verb == "approve" and len(found) > 1:
        which = ", ".join(numbers(session, found))
        raise click.ClickException(
            f"say which to approve: {which}; `kintsugi sessions show` says what they do"
        )
    return found


def _named(session: pb.AgentSession, word: str) -> action_pb2.Action:
    for number, action in enumerate(session.actions, 1):
        if word in (str(number), action.name, action.name.rpartition("/")[2]):
            return action
    raise click.ClickException(
        f"{word!r} is no action of this session; it has 1 to {len(session.actions)}"
    )
