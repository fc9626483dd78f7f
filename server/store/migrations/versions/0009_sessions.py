"""Agent sessions, their actions and connectors; what a worker makes of an exception."""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.execute(_SESSIONS)
    op.execute(_ACTIONS)
    op.execute(_CONNECTORS)
    op.execute(_LEARNED)
    op.execute(_IN_USE)
    # Last: nobody reads or writes an exception from here until the migration is committed.
    op.execute(_READ)


_SESSIONS = """
CREATE SEQUENCE session_numbers AS integer;
CREATE TABLE agent_sessions (
    workspace uuid NOT NULL,
    id text COLLATE "C" NOT NULL,
    number integer NOT NULL DEFAULT nextval('session_numbers'),
    exception text COLLATE "C" NOT NULL DEFAULT '',
    automation text COLLATE "C" NOT NULL DEFAULT '',
    run text COLLATE "C" NOT NULL DEFAULT '',
    signal bytea NOT NULL DEFAULT '',
    agent text COLLATE "C" NOT NULL,
    creator text COLLATE "C" NOT NULL,
    start smallint NOT NULL,
    state smallint NOT NULL DEFAULT 1,
    analysis bytea NOT NULL DEFAULT '',
    error text NOT NULL DEFAULT '',
    note text NOT NULL DEFAULT '',
    prompt_token_count bigint NOT NULL DEFAULT 0,
    completion_token_count bigint NOT NULL DEFAULT 0,
    expire_time timestamptz,
    end_time timestamptz,
    version integer NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    update_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    due_time timestamptz,
    lease uuid,
    lease_until timestamptz,
    attempts smallint NOT NULL DEFAULT 0,
    analyse_until timestamptz,
    PRIMARY KEY (workspace, id)
) WITH (fillfactor = 70);
CREATE INDEX agent_sessions_newest ON agent_sessions (workspace, create_time, id);
CREATE INDEX agent_sessions_state ON agent_sessions (workspace, state, create_time, id);
CREATE INDEX agent_sessions_exception ON agent_sessions (workspace, exception, create_time, id);
CREATE UNIQUE INDEX agent_sessions_active ON agent_sessions (workspace, exception)
    WHERE state <= 4 AND exception <> '';
CREATE INDEX agent_sessions_due ON agent_sessions (workspace, due_time)
    WHERE due_time IS NOT NULL;
CREATE INDEX agent_sessions_longest_due ON agent_sessions (due_time)
    WHERE due_time IS NOT NULL;
CREATE TABLE session_steps (
    workspace uuid NOT NULL,
    session text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    result jsonb NOT NULL,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (workspace, session, key)
);
"""

_ACTIONS = """
CREATE TABLE actions (
    workspace uuid NOT NULL,
    session text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    exception text COLLATE "C" NOT NULL,
    action_type text COLLATE "C" NOT NULL,
    automated boolean NOT NULL,
    risk smallint NOT NULL,
    state smallint NOT NULL DEFAULT 1,
    state_reason text NOT NULL DEFAULT '',
    connector text COLLATE "C" NOT NULL,
    connector_revision integer NOT NULL,
    guide_entry text COLLATE "C" NOT NULL,
    replaces text COLLATE "C" NOT NULL,
    digest text COLLATE "C" NOT NULL,
    approver text COLLATE "C" NOT NULL DEFAULT '',
    approve_time timestamptz,
    content bytea NOT NULL,
    result bytea NOT NULL DEFAULT '',
    version integer NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    update_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    position integer NOT NULL,
    claim text COLLATE "C" NOT NULL DEFAULT '',
    claim_until timestamptz,
    PRIMARY KEY (workspace, session, id)
);
CREATE INDEX actions_newest ON actions (workspace, create_time, id);
CREATE INDEX actions_exception ON actions (workspace, exception, create_time, id);
CREATE TABLE action_attempts (
    workspace uuid NOT NULL,
    session text COLLATE "C" NOT NULL,
    action text COLLATE "C" NOT NULL,
    number integer NOT NULL,
    lease uuid NOT NULL,
    send_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    not_after timestamptz NOT NULL,
    end_time timestamptz,
    outcome text COLLATE "C",
    PRIMARY KEY (workspace, session, action, number)
);
"""

_CONNECTORS = """
CREATE TABLE connectors (
    workspace uuid NOT NULL,
    id text COLLATE "C" NOT NULL,
    action_type text COLLATE "C" NOT NULL,
    title text NOT NULL,
    description text NOT NULL,
    expected_outcome text NOT NULL,
    risk smallint NOT NULL,
    http jsonb NOT NULL,
    revision integer NOT NULL DEFAULT 1,
    version integer NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    update_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (workspace, id)
);
CREATE UNIQUE INDEX connectors_action_type ON connectors (workspace, action_type);
"""

_LEARNED = """
ALTER TABLE guide_entries
    ADD COLUMN action_type text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN action_parameters jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN action_risk smallint NOT NULL DEFAULT 0,
    ADD COLUMN self_resolving boolean NOT NULL DEFAULT false,
    ADD COLUMN connector text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN connector_revision integer NOT NULL DEFAULT 0,
    ADD COLUMN fingerprint bytea;
ALTER TABLE guide_entry_revisions
    ADD COLUMN action_type text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN action_parameters jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN action_risk smallint NOT NULL DEFAULT 0,
    ADD COLUMN self_resolving boolean NOT NULL DEFAULT false,
    ADD COLUMN connector text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN connector_revision integer NOT NULL DEFAULT 0,
    ADD COLUMN fingerprint bytea;
"""

_IN_USE = """
CREATE INDEX guide_entries_fingerprint ON guide_entries (workspace, fingerprint, create_time, id)
    WHERE approved > 0 AND NOT deleted;
CREATE INDEX guide_entries_in_use ON guide_entries (workspace, create_time, id)
    WHERE approved > 0 AND NOT deleted;
CREATE INDEX guide_entries_automation_in_use
    ON guide_entries (workspace, automation, create_time, id)
    WHERE approved > 0 AND NOT deleted;
"""

_READ = """
ALTER TABLE exceptions ADD COLUMN fingerprint bytea;
CREATE INDEX exceptions_fingerprint ON exceptions (workspace, fingerprint, create_time)
    WHERE fingerprint IS NOT NULL;
CREATE INDEX exceptions_unread ON exceptions (create_time)
    WHERE fingerprint IS NULL;
"""
