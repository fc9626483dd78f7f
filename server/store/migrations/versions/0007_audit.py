"""The audit: entries in a chain, their seals, and the one way of pruning them."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute(_TABLES)


_TABLES = """
ALTER TABLE changes
    ADD COLUMN token text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN address text COLLATE "C" NOT NULL DEFAULT '';

CREATE TABLE audit_entries (
    workspace uuid NOT NULL,
    id bigint NOT NULL,
    type text COLLATE "C" NOT NULL,
    principal text COLLATE "C" NOT NULL,
    token text COLLATE "C" NOT NULL,
    address text COLLATE "C" NOT NULL,
    method text COLLATE "C" NOT NULL,
    resource text COLLATE "C" NOT NULL,
    outcome text COLLATE "C" NOT NULL,
    count integer NOT NULL,
    before json,
    after json,
    create_time timestamptz NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (workspace, id),
    CHECK (id > 0)
);
CREATE INDEX audit_entries_principal ON audit_entries (workspace, principal, id);
CREATE INDEX audit_entries_resource ON audit_entries (workspace, resource, id);

CREATE TABLE audit_seals (
    workspace uuid NOT NULL,
    id bigint NOT NULL,
    hash bytea NOT NULL,
    epoch integer NOT NULL,
    xid xid8 NOT NULL,
    change bigint NOT NULL,
    create_time timestamptz NOT NULL DEFAULT statement_timestamp(),
    PRIMARY KEY (workspace, id)
);

CREATE TABLE pruned_audit_entries (
    workspace uuid PRIMARY KEY,
    id bigint NOT NULL,
    hash bytea NOT NULL,
    prune_time timestamptz NOT NULL DEFAULT statement_timestamp()
);

CREATE TABLE pending_audit_entries (
    workspace uuid NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    type text COLLATE "C" NOT NULL,
    principal text COLLATE "C" NOT NULL,
    token text COLLATE "C" NOT NULL,
    address text COLLATE "C" NOT NULL,
    method text COLLATE "C" NOT NULL,
    resource text COLLATE "C" NOT NULL,
    outcome text COLLATE "C" NOT NULL,
    count integer NOT NULL,
    before json,
    after json,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (workspace, id)
);
CREATE UNIQUE INDEX pending_audit_entries_refused
    ON pending_audit_entries (workspace, principal, method, outcome, create_time)
    WHERE type = 'call.refused';

-- Whoever may call it needs no right to delete, and gets none to what is younger.
CREATE FUNCTION prune_audit_entries(days integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    pruned bigint;
BEGIN
    IF days < 30 THEN
        RAISE EXCEPTION 'audit entries are kept for at least 30 days';
    END IF;
    WITH old AS (
        SELECT workspaces.uid AS workspace, max(seal.id) AS id
        FROM workspaces CROSS JOIN LATERAL (
            SELECT id, create_time FROM audit_seals
            WHERE workspace = workspaces.uid AND id > coalesce(
                (SELECT id FROM pruned_audit_entries WHERE workspace = workspaces.uid), 0
            )
            ORDER BY id LIMIT 20
        ) AS seal
        WHERE seal.create_time < statement_timestamp() - make_interval(days => days)
        GROUP BY workspaces.uid
    ), anchor AS (
        INSERT INTO pruned_audit_entries AS kept (workspace, id, hash)
        SELECT old.workspace, old.id, audit_seals.hash
        FROM old JOIN audit_seals USING (workspace, id)
        ON CONFLICT (workspace) DO UPDATE
        SET id = excluded.id, hash = excluded.hash, prune_time = statement_timestamp()
        RETURNING kept.workspace, kept.id
    ), seals AS (
        DELETE FROM audit_seals USING anchor
        WHERE audit_seals.workspace = anchor.workspace AND audit_seals.id < anchor.id
    ), entries AS (
        DELETE FROM audit_entries USING anchor
        WHERE audit_entries.workspace = anchor.workspace AND audit_entries.id <= anchor.id
        RETURNING audit_entries.id
    )
    SELECT count(*) INTO pruned FROM entries;
    RETURN pruned;
END
$$;
REVOKE ALL ON FUNCTION prune_audit_entries FROM PUBLIC;
DO $$
BEGIN
    -- Without it, temporary tables of the caller would be taken for these.
    EXECUTE format(
        'ALTER FUNCTION prune_audit_entries SET search_path = %I, pg_temp', current_schema()
    );
END
$$;
"""
