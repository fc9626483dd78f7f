"""What can be done to guide entries: create, draft, change, approve, reject, delete, undelete.

Which transitions are legal is said in `domain/guide_entry_state.py`. Each owns its transaction,
but drafting, which is part of what it was learned in.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from kintsugi.v1 import action_pb2, exception_pb2
from kintsugi.v1 import guide_entry_pb2 as pb
from kintsugi.v1 import guide_entry_service_pb2 as service
from kintsugi.v1.connector_pb2 import Connector

from server.domain import guide_entry_state
from server.domain.access import APPROVE_GUIDE_ENTRIES
from server.domain.call import current_call
from server.domain.errors import IllegalTransition, InvalidFields, PermissionLacking
from server.domain.fingerprint import fingerprint
from server.domain.guide_entry_rules import (
    draft,
    is_other_action,
    unknown_action,
    violations,
    why_not_standing,
)
from server.domain.guide_entry_state import DRAFT, Standing
from server.domain.ids import new_id
from server.domain.names import (
    AutomationName,
    GuideEntryName,
    RunName,
    WorkspaceName,
)
from server.operations.proposals import connectors_for
from server.resources.collection import Also, Collection, nothing_else
from server.resources.guide_entry import GUIDE_ENTRY
from server.store.changes import MutationRequest, change_parameters, once
from server.store.connection import Row, Transaction
from server.store.guide_entries import (
    KEEP_REVISION,
    LEARN,
    MESSAGE,
    OWN_WORDS,
    SEE,
    create_statement,
    draft_statement,
)

GuideEntries = Collection[pb.GuideEntry, GuideEntryName]

_CREATE = create_statement(GUIDE_ENTRY.columns)
_DRAFT = draft_statement(GUIDE_ENTRY.columns)


def create(entries: GuideEntries, request: service.CreateGuideEntryRequest) -> pb.GuideEntry:
    """Creates an entry, pending at its first version. Raises PermissionLacking."""
    parent = AutomationName.parse(request.parent)
    _check(parent, request.guide_entry)
    if request.guide_entry.self_resolving:
        _check_may_approve(parent.parent)
    store = entries.store
    workspace = store.workspace_key(parent.parent)

    def work() -> pb.GuideEntry:
        recording = change_parameters(request, f"{parent}/guideEntries")
        row = _row(workspace, parent, request.guide_entry)
        with store.database.transaction() as transaction:
            _check_known(transaction, workspace, parent.parent, request.guide_entry)
            row["fingerprint"] = _fingerprint(transaction, workspace, request.guide_entry)
            [created] = transaction.all(_CREATE, row | recording)
            _keep_revision(transaction, workspace, row["id"])
        return _read(parent, created)

    def repeat(names: Sequence[str]) -> pb.GuideEntry:
        return entries.get(GuideEntryName.parse(names[0]))

    return once(store, workspace, request, work, repeat)


def draft_of(
    transaction: Transaction,
    workspace: str,
    request: MutationRequest,
    exception: exception_pb2.Exception,
    action: action_pb2.Action | None = None,
) -> pb.GuideEntry | None:
    """Drafts what was learned from a resolved exception, as a further change of the request.

    `action` is the one that resolved it, if one did. None where there is nothing to say, or an
    entry, pending or approved, says it already.
    """
    drafted = draft(exception, action or action_pb2.Action())
    if drafted is None:
        return None
    run = RunName.parse(exception.run)
    parent = AutomationName(run.organization, run.workspace, run.automation)
    recording = change_parameters(request, f"{parent}/guideEntries", is_first=False)
    row = _row(workspace, parent, drafted)
    row["fingerprint"] = fingerprint(exception.message)
    created = transaction.one(_DRAFT, row | recording)
    if created is None:
        return None
    _keep_revision(transaction, workspace, row["id"])
    return _read(parent, created)


def own_words(transaction: Transaction, workspace: str, entry: str) -> str:
    """What an entry in use says is to be done, by its name; empty where it says nothing."""
    id = entry.rpartition("/")[2]
    found = transaction.one(OWN_WORDS, {"workspace": workspace, "id": id})
    return str(found[0]) if found else ""


def update(entries: GuideEntries, request: service.UpdateGuideEntryRequest) -> pb.GuideEntry:
    """Changes what an entry says; that is its next version, and has to be approved.

    Where the action changes, and the caller may not approve, it no longer resolves by itself.
    Raises PermissionLacking where they change `self_resolving`.
    """
    name = GuideEntryName.parse(request.guide_entry.name)
    workspace = entries.store.workspace_key(name.parent.parent)

    def also(
        transaction: Transaction, before: pb.GuideEntry, after: pb.GuideEntry
    ) -> Sequence[str]:
        _check_known(transaction, workspace, name.parent.parent, after)
        if after.self_resolving and not before.self_resolving:
            _learn(transaction, workspace, name, after)
        _keep_revision(transaction, workspace, name.id)
        return ()

    def revise(before: pb.GuideEntry, after: pb.GuideEntry) -> None:
        if after.self_resolving != before.self_resolving:
            _check_may_approve(name.parent.parent)
        elif is_other_action(before, after) and not _may_approve(name.parent.parent):
            after.self_resolving = False
        _moving(guide_entry_state.revise)(after)

    return entries.update(name, request.guide_entry, request, also=also, revise=revise)


def approve(entries: GuideEntries, request: service.ApproveGuideEntryRequest) -> pb.GuideEntry:
    """PENDING_APPROVAL → APPROVED, at the next major version.

    Raises IllegalTransition where it would resolve by itself what nobody may approve in advance.
    """
    name = GuideEntryName.parse(request.name)
    workspace = entries.store.workspace_key(name.parent.parent)

    def also(transaction: Transaction, _: pb.GuideEntry, after: pb.GuideEntry) -> Iterable[str]:
        _see(transaction, workspace, name, after)
        _keep_revision(transaction, workspace, name.id)
        return ()

    return _move(entries, request, guide_entry_state.approve, also)


def reject(entries: GuideEntries, request: service.RejectGuideEntryRequest) -> pb.GuideEntry:
    """PENDING_APPROVAL → REJECTED."""
    name = GuideEntryName.parse(request.name)
    return _move(entries, request, guide_entry_state.reject, _keeping(entries, name))


def delete(entries: GuideEntries, request: service.DeleteGuideEntryRequest) -> pb.GuideEntry:
    """Any → ARCHIVED; its versions stay as they are."""
    return _move(entries, request, guide_entry_state.delete)


def undelete(entries: GuideEntries, request: service.UndeleteGuideEntryRequest) -> pb.GuideEntry:
    """ARCHIVED → where it was."""
    return _move(entries, request, guide_entry_state.undelete)


class _Transition(MutationRequest, Protocol):
    name: str
    etag: str


Transition = Callable[[Standing], Standing]


def _move(
    entries: GuideEntries,
    request: _Transition,
    transition: Transition,
    also: Also[pb.GuideEntry] = nothing_else,
) -> pb.GuideEntry:
    name = GuideEntryName.parse(request.name)
    return entries.change(name, request, request.etag, _moving(transition), also)


def _moving(transition: Transition) -> Callable[[pb.GuideEntry], None]:
    return lambda entry: transition(Standing.of(entry)).put(entry)


def _keeping(entries: GuideEntries, name: GuideEntryName) -> Also[pb.GuideEntry]:
    """Keeps the version that a change leads to."""
    workspace = entries.store.workspace_key(name.parent.parent)

    def keep(transaction: Transaction, *_change: pb.GuideEntry) -> Iterable[str]:
        _keep_revision(transaction, workspace, name.id)
        return ()

    return keep


def _keep_revision(transaction: Transaction, workspace: str, id: str) -> None:
    transaction.one(KEEP_REVISION, {"workspace": workspace, "id": id})


def _check_may_approve(workspace: WorkspaceName) -> None:
    """What resolves by itself acts without asking anybody again."""
    if not _may_approve(workspace):
        raise PermissionLacking(current_call().principal, APPROVE_GUIDE_ENTRIES)


def _may_approve(workspace: WorkspaceName) -> bool:
    return APPROVE_GUIDE_ENTRIES in current_call().memberships[str(workspace)].permissions


def _check_known(
    transaction: Transaction, workspace: str, parent: WorkspaceName, entry: pb.GuideEntry
) -> None:
    """Raises InvalidFields where it would resolve by itself with what there isn't."""
    if not entry.self_resolving:
        return
    connector = _connector(transaction, workspace, parent, entry)
    if what := unknown_action(entry, connector):
        raise InvalidFields([("guide_entry.action_type", what)])


def _connector(
    transaction: Transaction, workspace: str, parent: WorkspaceName, entry: pb.GuideEntry
) -> Connector | None:
    """What carries out the entry's action."""
    found = connectors_for(transaction, workspace, parent, [entry.action_type])
    return found.get(entry.action_type)


def _see(
    transaction: Transaction, workspace: str, name: GuideEntryName, entry: pb.GuideEntry
) -> None:
    """Keeps the connector that an approval is about: it holds for that one as it is now."""
    connector = None
    if entry.self_resolving:
        connector = _connector(transaction, workspace, name.parent.parent, entry)
        if why := why_not_standing(entry, connector):
            raise IllegalTransition(why).about(name)
    given = {
        "connector": connector.name.rpartition("/")[2] if connector else "",
        "connector_revision": connector.revision if connector else 0,
    }
    transaction.one(SEE, {"workspace": workspace, "id": name.id, **given})


def _learn(
    transaction: Transaction, workspace: str, name: GuideEntryName, entry: pb.GuideEntry
) -> None:
    """Entries from before there were fingerprints have none."""
    learned = _fingerprint(transaction, workspace, entry)
    transaction.one(LEARN, {"workspace": workspace, "id": name.id, "fingerprint": learned})


def _fingerprint(transaction: Transaction, workspace: str, entry: pb.GuideEntry) -> bytes | None:
    """That of what it was learned from. Raises InvalidFields where it needs one and has none."""
    id = entry.source_exception.rpartition("/")[2]
    found = transaction.one(MESSAGE, {"workspace": workspace, "exception": id}) if id else None
    if found is None and entry.self_resolving:
        what = f"there is no exception {id}, and `self_resolving` takes its message"
        raise InvalidFields([("guide_entry.source_exception", what)])
    return fingerprint(found[0]) if found else None


def _row(workspace: str, parent: AutomationName, entry: pb.GuideEntry) -> dict[str, Any]:
    new = pb.GuideEntry()
    new.CopyFrom(entry)
    DRAFT.put(new)
    return GUIDE_ENTRY.write(new) | {
        "workspace": workspace,
        "id": new_id(),
        "automation": parent.automation,
        "source_exception": entry.source_exception.rpartition("/")[2],
        "source_run": entry.source_run.rpartition("/")[2],
    }


def _read(parent: AutomationName, row: Row) -> pb.GuideEntry:
    return GUIDE_ENTRY.read(pb.GuideEntry, str(parent), row)


def _check(parent: AutomationName, entry: pb.GuideEntry) -> None:
    found = violations(parent, entry)
    if found:
        raise InvalidFields([(f"guide_entry.{field}", what) for field, what in found])
