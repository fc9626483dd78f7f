"""The tables as SQLAlchemy sees them; the migrations make them and a test holds the two together.

Every key starts with the workspace, so that the tables can be spread by it.
"""

from server.store.tables.access import access_tokens, members, workspaces
from server.store.tables.action import action_attempts, actions, connectors
from server.store.tables.agent_session import (
    ACTIVE_SESSION,
    DUE_SESSION,
    agent_sessions,
    agent_starts,
    session_numbers,
    session_steps,
)
from server.store.tables.audit import (
    REFUSED,
    audit_entries,
    audit_seals,
    pending_audit_entries,
    pruned_audit_entries,
)
from server.store.tables.change import changes, clusters, pruned_changes
from server.store.tables.columns import MASKED, TransactionId, metadata
from server.store.tables.event import STREAMING, event_chunks, events, threads
from server.store.tables.exception import (
    PENDING,
    UNREAD,
    exception_groups,
    exception_numbers,
    exceptions,
)
from server.store.tables.exception_count import (
    exception_count_deltas,
    exception_counts,
    exception_day_counts,
)
from server.store.tables.guide_entry import IN_USE, guide_entries, guide_entry_revisions

__all__ = [
    "ACTIVE_SESSION",
    "DUE_SESSION",
    "IN_USE",
    "MASKED",
    "PENDING",
    "REFUSED",
    "STREAMING",
    "UNREAD",
    "TransactionId",
    "access_tokens",
    "action_attempts",
    "actions",
    "agent_sessions",
    "agent_starts",
    "audit_entries",
    "audit_seals",
    "changes",
    "clusters",
    "connectors",
    "event_chunks",
    "events",
    "exception_count_deltas",
    "exception_counts",
    "exception_day_counts",
    "exception_groups",
    "exception_numbers",
    "exceptions",
    "guide_entries",
    "guide_entry_revisions",
    "members",
    "metadata",
    "pending_audit_entries",
    "pruned_audit_entries",
    "pruned_changes",
    "session_numbers",
    "session_steps",
    "threads",
    "workspaces",
]
