"""Workspaces, exceptions, and the change record."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(_TABLES)


_TABLES = """
CREATE TABLE clusters (
    epoch integer PRIMARY KEY,
    system_identifier bigint NOT NULL,
    begin_time timestamptz NOT NULL
);

CREATE TABLE workspaces (
    uid uuid PRIMARY KEY,
    organization text NOT NULL,
    id text NOT NULL,
    title text NOT NULL,
    features text[] NOT NULL,
    version integer NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT statement_timestamp(),
    update_time timestamptz NOT NULL DEFAULT statement_timestamp()
);
CREATE UNIQUE INDEX workspaces_name ON workspaces (organization, id);
CREATE INDEX workspaces_newest ON workspaces (organization, create_time, id);

CREATE SEQUENCE exception_numbers AS integer;
CREATE TABLE exceptions (
    workspace uuid NOT NULL,
    id text COLLATE "C" NOT NULL,
    number integer NOT NULL DEFAULT nextval('exception_numbers'),
    automation text COLLATE "C" NOT NULL,
    run text COLLATE "C" NOT NULL,
    start_byte bigint NOT NULL,
    end_byte bigint NOT NULL,
    message text NOT NULL,
    execution_id text NOT NULL,
    stage smallint NOT NULL,
    identity bytea NOT NULL,
    state smallint NOT NULL,
    description text NOT NULL DEFAULT '',
    "group" text COLLATE "C" NOT NULL,
    assignee text COLLATE "C" NOT NULL,
    resolver text COLLATE "C" NOT NULL DEFAULT '',
    resolution_guide_entry text COLLATE "C" NOT NULL DEFAULT '',
    resolution_note text NOT NULL DEFAULT '',
    extra jsonb NOT NULL,
    occurrence_count integer NOT NULL DEFAULT 1,
    last_occurrence_time timestamptz NOT NULL DEFAULT statement_timestamp(),
    version integer NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT statement_timestamp(),
    update_time timestamptz NOT NULL DEFAULT statement_timestamp(),
    PRIMARY KEY (workspace, id)
) WITH (fillfactor = 90);
CREATE INDEX exceptions_newest ON exceptions (workspace, create_time, id);
CREATE UNIQUE INDEX exceptions_pending ON exceptions (workspace, identity) WHERE state = 1;
CREATE INDEX exceptions_state ON exceptions (workspace, state, create_time, id);
CREATE INDEX exceptions_automation ON exceptions (workspace, automation, create_time, id);
CREATE INDEX exceptions_run ON exceptions (workspace, run, create_time, id);
CREATE INDEX exceptions_extra ON exceptions USING gin (extra);
DO $$
BEGIN
    -- Without it a search in texts works too, and reads every row.
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm') THEN
        CREATE EXTENSION IF NOT EXISTS pg_trgm;
        CREATE INDEX exceptions_message_trgm ON exceptions
            USING gin (lower(message) gin_trgm_ops);
        CREATE INDEX exceptions_description_trgm ON exceptions
            USING gin (lower(description) gin_trgm_ops);
    END IF;
END
$$;

CREATE TABLE changes (
    workspace uuid NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    epoch integer NOT NULL,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    principal text COLLATE "C" NOT NULL,
    method text COLLATE "C" NOT NULL,
    request_id text COLLATE "C",
    body_digest bytea,
    resource text COLLATE "C" NOT NULL,
    before jsonb,
    after jsonb NOT NULL,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (workspace, id)
);
CREATE INDEX changes_committed ON changes (epoch, xid, id);
CREATE UNIQUE INDEX changes_request ON changes (workspace, principal, method, request_id)
    WHERE request_id IS NOT NULL;
"""
