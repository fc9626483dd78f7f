"""What comes of a session when an action of it has ended: the next one, a new proposal, the end.

When all have succeeded, the exception is resolved, and what was learned is drafted.
"""

from collections.abc import Collection, Sequence

from kintsugi.v1 import exception_pb2
from kintsugi.v1.action_pb2 import Action

from server.domain import action_state, agent_session_state, exception_state
from server.operations.guide_entries import draft_of, own_words
from server.operations.proposals import again
from server.operations.session_turn import GOING_ON, NEVER, Turn
from server.operations.thread_messages import tell_changed
from server.store.changes import FURTHER
from server.store.leases import Due

_BROKEN = (action_state.FAILED, action_state.UNKNOWN, action_state.EXPIRED)
_NOT_NEEDED = "what was approved has succeeded"
_NOT_BEGUN = "one before it did not succeed"


def go_on(turn: Turn) -> bool:
    """Decides what comes next; answers whether that is another action to execute."""
    if turn.session.state != agent_session_state.EXECUTING:
        is_busy = turn.is_final and turn.actions_in(action_state.EXECUTING)
        turn.schedule(Due(0) if is_busy else NEVER)
        return False
    if broken := _broken(turn.actions.values()):
        _propose_anew(turn, broken)
        return False
    if turn.actions_in(action_state.APPROVED, action_state.EXECUTING):
        turn.schedule(GOING_ON)
        return True
    _complete(turn)
    return False


def _broken(actions: Collection[Action]) -> list[Action]:
    """Those that were approved and did not succeed, unless there are others in their place."""
    replaced = {action.replaces for action in actions}
    return [
        action
        for action in actions
        if action.state in _BROKEN and action.approver and action.name not in replaced
    ]


def _propose_anew(turn: Turn, broken: Sequence[Action]) -> None:
    """Proposes these, and what was to come after them, once more: EXECUTING → AWAITING."""
    not_begun = [
        turn.move_action(action, action_state.CANCELLED, _NOT_BEGUN)
        for action in turn.actions_in(action_state.APPROVED)
    ]
    turn.propose(turn.exception(), [again(action) for action in (*broken, *not_begun)])
    turn.move(agent_session_state.AWAITING, turn.patience, expires=True)


def _complete(turn: Turn) -> None:
    """EXECUTING → COMPLETED; the exception is resolved, unless it was dealt with meanwhile."""
    done = turn.actions_in(action_state.SUCCEEDED)
    for action in turn.actions_in(action_state.PROPOSED):
        turn.move_action(action, action_state.CANCELLED, _NOT_NEEDED)
    exception = turn.exception()
    if exception is not None and exception.state == exception_pb2.EXCEPTION_STATE_PENDING:
        _resolve(turn, exception, done)
    turn.move(agent_session_state.COMPLETED, NEVER)


def _resolve(turn: Turn, exception: exception_pb2.Exception, done: Sequence[Action]) -> None:
    entry = next((action.guide_entry for action in done if action.guide_entry), "")
    known = own_words(turn.transaction, turn.lease.workspace, entry)

    def apply(resolved: exception_pb2.Exception) -> None:
        resolved.state = exception_state.resolve(resolved.state)
        resolved.resolver = turn.session.agent
        resolved.resolution_note = turn.held.note or known or _note(done)
        resolved.resolution_guide_entry = entry

    resolved = turn.change_exception(exception, apply)
    drafted = None
    if not entry:
        workspace = turn.lease.workspace
        drafted = draft_of(turn.transaction, workspace, FURTHER, resolved, done[-1])
    turn.say_now()  # before what follows from it
    name = drafted.name if drafted else ""
    told = tell_changed(turn.transaction, turn.lease.workspace, exception, resolved, name)
    turn.topics.update(told)


def _note(done: Sequence[Action]) -> str:
    """`Run the job again (retry_run).`"""
    return " ".join(_sentence(action) for action in done)


def _sentence(action: Action) -> str:
    where = f" on {action.target_system}" if action.target_system else ""
    what = action.description.rstrip(". \n") or "Done"
    return f"{what} ({action.action_type}{where})."
