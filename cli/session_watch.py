"""Watches a session in the terminal to its end: what is said, what it proposes, how it goes on.

In a terminal it asks there what is to be approved. The stream is read by `following`.
"""

import queue
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import click
import grpc
from kintsugi.v1 import action_pb2, event_pb2
from kintsugi.v1 import agent_session_pb2 as pb

from cli import session_table
from cli.choosing import approvable, chosen, numbers, proposed
from cli.connection import Connection
from cli.conversation import Conversation
from cli.errors import ServiceError
from cli.session_client import SessionClient
from cli.terminal import command_line, resolve_command, say
from cli.threads import Threads

QUIET = 0.3
"""Seconds without a word after which the session is looked at: what belongs together is said by
then."""

FINAL = {
    pb.AgentSession.STATE_COMPLETED,
    pb.AgentSession.STATE_FAILED,
    pb.AgentSession.STATE_CANCELLED,
    pb.AgentSession.STATE_EXPIRED,
    pb.AgentSession.STATE_ENDED,
}

_Said = event_pb2.Event | BaseException | None


@dataclass
class Watch:
    """One session, followed to its end; `session` is how it stood when it was last looked at."""

    connection: Connection
    session: pb.AgentSession
    asks: bool = field(default_factory=lambda: sys.stdin.isatty() and sys.stdout.isatty())

    def __post_init__(self) -> None:
        self._sessions = SessionClient(self.connection)
        self._conversation = Conversation(growing=sys.stdout.isatty())
        self._said: queue.Queue[_Said] = queue.Queue()
        self._shown: set[str] = set()

    def run(self) -> pb.AgentSession:
        """The session once it is final. Raises ServiceError for what can't be gone on from."""
        threading.Thread(target=self._listen, daemon=True).start()
        while True:
            self._show_all()
            self._look()
            if self.session.state in FINAL:
                self._conversation.end_line()
                return self.session
            if self.session.state == pb.AgentSession.STATE_AWAITING_CONFIRMATION:
                self._propose()

    def _listen(self) -> None:
        """Puts what is said into the queue, None where there may be news without a word."""
        began = self.session.create_time.ToJsonString()
        matching = f'create_time >= "{began}"'
        if self.session.exception:
            matching += f' AND exception = "{self.session.exception.rpartition("/")[2]}"'
        threads = Threads(self.connection)
        try:
            for message in threads.follow(self.session.thread, matching, tell=self._tell):
                has_event = message is not None and message.HasField("event")
                self._said.put(message.event if message and has_event else None)
        except Exception as error:  # noqa: BLE001 (it is raised where the queue is read)
            self._said.put(error)

    def _show_all(self) -> None:
        """Waits until something was said and nothing more comes, and shows it."""
        said = self._said.get()
        while True:
            if isinstance(said, BaseException):
                raise said
            if said is not None:
                self._conversation.show(said)
            try:
                said = self._said.get(timeout=QUIET)
            except queue.Empty:
                return

    def _look(self) -> None:
        try:
            self.session = self._sessions.get(self.session.name)
        except ServiceError as error:
            if not error.transient:
                raise

    def _propose(self) -> None:
        """Shows what is proposed, each proposal once, and asks for it."""
        actions = proposed(self.session)
        if {each.name for each in actions} <= self._shown:
            return
        self._shown.update(each.name for each in actions)
        self._conversation.end_line()
        session_table.print_actions(self.session, self.session.actions)
        if not any(each.automated for each in actions):
            say("none of this can be executed here; when it is repaired:")
            say(resolve_command(self.session.exception) if self.session.exception else "")
        elif self.asks:
            self._ask(actions)
        else:
            say(f"to approve: {_approval(self.session)} --note TEXT")

    def _ask(self, actions: Sequence[action_pb2.Action]) -> None:
        answer = _answer(self.session)
        try:
            if answer == "n":
                self._sessions.reject(self.session, actions, "")
            elif answer:
                words = answer.replace(",", " ").split()
                is_all = answer == "y"
                wanted = (
                    approvable(self.session) if is_all else chosen(self.session, words, "approve")
                )
                note = click.prompt("Note, for the next time", default="", show_default=False)
                self._sessions.approve(self.session, wanted, note)
            else:
                say(f"later: {_approval(self.session)}")
        except click.ClickException as error:
            say(error.message)
            self._go_on(error)

    def _go_on(self, error: click.ClickException) -> None:
        """Asks again, unless the service has refused it for good."""
        if isinstance(error, ServiceError) and not error.transient:
            self.asks = self.asks and error.code is not grpc.StatusCode.PERMISSION_DENIED
            return
        self._shown.clear()
        self._said.put(None)

    def _tell(self, text: str) -> None:
        self._conversation.end_line()
        say(text)


def _answer(session: pb.AgentSession) -> str:
    """`y`, `n`, numbers of actions, or nothing."""
    can_be = numbers(session, approvable(session))
    several = len(can_be) > 1
    which = f"action{'s' if several else ''} {', '.join(can_be)}"
    no = "n: reject all, which ends the session"
    how = f"[y; {no}{'; or which' if several else ''}; Enter: later]"
    answer: str = click.prompt(f"Approve {which}? {how}", default="", show_default=False)
    return {"yes": "y", "no": "n"}.get(answer.strip().lower(), answer.strip().lower())


def _approval(session: pb.AgentSession) -> str:
    """The command that approves what is shown, and nothing that is proposed later."""
    return command_line(
        "sessions",
        "approve",
        session_table.id_line(session),
        *numbers(session, approvable(session)),
    )
