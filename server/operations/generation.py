"""What can be done to what is being generated: cancel it, and complete it where its writer died.

How it is written is in `event_writer.py`.
"""

import threading

import structlog
from kintsugi.v1 import event_service_pb2 as service

from server.domain.errors import DatabaseUnavailable
from server.domain.names import ThreadName, parse_thread
from server.store import generations as sql
from server.store.changes import change_parameters, once
from server.store.events import local_name, thread_workspace
from server.store.generations import Thread
from server.store.store import Store
from server.store.topics import thread_topic

_SILENCE_SECONDS = 60
"""A writer that hasn't touched its event for so long is dead; it does so every 10 s."""

_LOOK_SECONDS = 30
_CLOSING_SECONDS = 2

_log = structlog.get_logger()

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


class OrphanWatch:
    """Completes orphans about every 30 s, until it is closed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="orphans", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join(_CLOSING_SECONDS)

    def _run(self) -> None:
        while not self._closing.wait(_LOOK_SECONDS):
            try:
                complete_orphans(self._store)
            except DatabaseUnavailable:
                continue
            except Exception:  # noqa: BLE001 - nobody else would look again
                _log.exception("orphaned events can't be completed")


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
