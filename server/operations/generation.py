"""What can be done to what is being generated: cancel it, and complete it where its writer died.

How it is written is in `event_writer.py`.
"""

from kintsugi.v1 import event_service_pb2 as service

from server.domain.names import ThreadName, parse_thread
from server.operations.background import Repetition
from server.store import generations as sql
from server.store.changes import change_parameters, once
from server.store.events import local_name, thread_workspace
from server.store.generations import Thread
from server.store.store import Store
from server.store.topics import thread_topic

_SILENCE_SECONDS = 60
"""A writer that hasn't touched its event for so long is dead; it does so every 10 s."""

_LOOK_SECONDS = 30

_CANCEL = sql.cancel_statement()


def cancel(
    store: Store, request: service.CancelGenerationRequest
) -> service.CancelGenerationResponse:
    """Has the writers of a thread's events stop, wherever they are. Raises NotFound.

    The call is remembered by its `request_id` even where nothing is being generated: its
    repetition must not stop what began after it.
    """
    thread = parse_thread(request.parent)
    workspace = thread_workspace(store, thread)
    key = {"workspace": workspace, "thread_name": local_name(thread)}
    if request.request_id or store.database.one(sql.IS_STREAMING, key):
        once(
            store,
            workspace,
            request,
            lambda: _cancel(store, request, thread, workspace),
            lambda _: None,
        )
    return service.CancelGenerationResponse()


def complete_orphans(store: Store, silence_seconds: float = _SILENCE_SECONDS) -> int:
    """Completes, with what there is, events whose writers died; answers how many."""
    with store.database.transaction() as transaction:
        threads = sql.lock_orphaned(transaction, silence_seconds)
        completed = sql.complete_orphans(transaction, threads, silence_seconds)
    if completed:
        store.notifier.announce(*(thread_topic(each.workspace, each.name) for each in threads))
    return len(completed)


def watch_orphans(store: Store) -> Repetition:
    """Completes orphans about every 30 s, until it is closed."""
    return Repetition("orphans", lambda: complete_orphans(store), _LOOK_SECONDS)


def _cancel(
    store: Store, request: service.CancelGenerationRequest, thread: ThreadName, workspace: str
) -> None:
    name = local_name(thread)
    parameters = {"workspace": workspace, "thread_name": name}
    recording = change_parameters(request, str(thread.parent))
    with store.database.transaction() as transaction:
        [[id]] = transaction.all(_CANCEL, parameters | recording)
        orphaned = [Thread(workspace, id, name)]
        completed = sql.complete_orphans(transaction, orphaned, _SILENCE_SECONDS)
    if completed:
        store.notifier.announce(thread_topic(workspace, name))
