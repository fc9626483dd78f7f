"""The SQL of a standing approval: what a guide entry in use says may be done by itself.

Who approves what is decided in `domain/policy.py`.
"""

from sqlalchemy import text

from server.store.query import Query

_IN_USE = """guide_entries AS entry
        JOIN guide_entry_revisions AS used ON used.workspace = entry.workspace
            AND used.id = entry.id AND used.major = entry.approved AND used.minor = 0
            AND entry.approved > 0 AND NOT entry.deleted AND used.self_resolving"""
"""The entries that may resolve by themselves, with the version of each that says so."""

ANY_STANDING = Query(
    text(
        f"""
        SELECT given.id
        FROM unnest(
            CAST(:workspaces AS uuid[]), CAST(:ids AS text[]), CAST(:automations AS text[]),
            CAST(:fingerprints AS bytea[])
        ) AS given (workspace, id, automation, fingerprint)
        WHERE EXISTS (
            SELECT FROM {_IN_USE}
            WHERE entry.workspace = given.workspace AND entry.automation = given.automation
                AND entry.fingerprint = given.fingerprint
        )
        """
    )
)
"""Of the exceptions given, those that a guide entry in use may resolve by itself."""

STANDING = Query(
    text(
        f"""
        SELECT used.action_type, used.action_parameters
        FROM {_IN_USE}
        WHERE entry.workspace = :workspace AND entry.id = :id AND entry.automation = :automation
            AND entry.fingerprint = :fingerprint
            AND NOT EXISTS (
                SELECT FROM connectors AS carrier
                WHERE carrier.workspace = entry.workspace
                    AND carrier.action_type = used.action_type
                    AND carrier.create_time > used.update_time
            )
        """
    )
)
"""The action type and parameters of the version in use of an entry, if it is self-resolving and of
the `automation` and `fingerprint`; a connector that was made anew since the approval, be it with
the old id and revision, ends that."""
