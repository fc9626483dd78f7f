"""What a reasoner does, done once: each step is kept with its result before the next one begins.

It is `Work`, of `reasoner.py`, for one session.
"""

import json
from collections.abc import Callable
from typing import Any

from kintsugi.v1 import event_pb2

from server.operations import session_journal
from server.operations.session_turn import Desk
from server.sessions.task import Task


class Journal:
    """The steps of one session; what was done before it was taken up again is known.

    Of a chat those about one message: the id of its event tells them from others'.
    """

    def __init__(self, desk: Desk, task: Task, message: int | None = None) -> None:
        self._prefix = "" if message is None else f"{message}-"
        self._desk = desk
        self._task = task
        self._done = dict(session_journal.done(desk, task.lease))

    def tool(self, key: str, title: str, input: str, run: Callable[[], Any]) -> Any:
        """Runs once, and answers what came of it, now or earlier. Raises Stopped, LeaseLost."""
        key = self._prefix + key
        id = f"{self._task.lease.name.id}-{key}"
        asked = event_pb2.ToolCallRequest(tool_call_id=id, display_name=title, input=input)
        self._once(f"{key}?", None, event_pb2.Event(tool_call_request=asked))
        if key not in self._done:
            result = run()
            text = json.dumps(result, ensure_ascii=False)
            answer = event_pb2.ToolCallResult(tool_call_id=id, result=text)
            self._once(key, result, event_pb2.Event(tool_call_result=answer))
        return self._done[key]

    def think(self, key: str, text: str) -> None:
        """Says, as thinking, what is considered. Raises Stopped, LeaseLost."""
        said = event_pb2.Event(thinking=event_pb2.Thinking(content=text))
        self._once(self._prefix + key, None, said)

    def say(self, key: str, text: str) -> None:
        """Says something to whoever reads along. Raises Stopped, LeaseLost."""
        said = event_pb2.Event(agent_message=event_pb2.AgentMessage(content=text))
        self._once(self._prefix + key, None, said)

    def check(self) -> None:
        """Raises Stopped if the session is to stop."""
        self._task.check()

    def _once(self, key: str, result: Any, event: event_pb2.Event) -> None:
        self.check()
        if key not in self._done:
            session_journal.keep(self._desk, self._task.lease, key, result, event)
            self._done[key] = result
