"""Guide entries and all their versions."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute(_TABLES)


_TABLES = """
CREATE TABLE guide_entries (
    workspace uuid NOT NULL,
    id text COLLATE "C" NOT NULL,
    automation text COLLATE "C" NOT NULL,
    title text NOT NULL,
    content text NOT NULL,
    root_cause text NOT NULL,
    resolution_steps text NOT NULL,
    resolution_code text NOT NULL,
    resolution_notes text NOT NULL,
    source_exception text COLLATE "C" NOT NULL,
    source_run text COLLATE "C" NOT NULL,
    state smallint NOT NULL,
    deleted boolean NOT NULL DEFAULT false,
    major integer NOT NULL,
    minor integer NOT NULL,
    approved integer NOT NULL DEFAULT 0,
    version integer NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT statement_timestamp(),
    update_time timestamptz NOT NULL DEFAULT statement_timestamp(),
    PRIMARY KEY (workspace, id)
);
CREATE INDEX guide_entries_newest ON guide_entries (workspace, create_time, id);
CREATE INDEX guide_entries_automation
    ON guide_entries (workspace, automation, create_time, id);

CREATE TABLE guide_entry_revisions (
    workspace uuid NOT NULL,
    id text COLLATE "C" NOT NULL,
    automation text COLLATE "C" NOT NULL,
    title text NOT NULL,
    content text NOT NULL,
    root_cause text NOT NULL,
    resolution_steps text NOT NULL,
    resolution_code text NOT NULL,
    resolution_notes text NOT NULL,
    source_exception text COLLATE "C" NOT NULL,
    source_run text COLLATE "C" NOT NULL,
    state smallint NOT NULL,
    major integer NOT NULL,
    minor integer NOT NULL,
    approved integer NOT NULL,
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL,
    PRIMARY KEY (workspace, id, major, minor)
);

DO $$
BEGIN
    -- Without it a search in texts works too, and reads every row.
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm') THEN
        CREATE INDEX guide_entries_title_trgm ON guide_entries
            USING gin (lower(title) gin_trgm_ops);
        CREATE INDEX guide_entries_content_trgm ON guide_entries
            USING gin (lower(content) gin_trgm_ops);
        CREATE INDEX guide_entries_root_cause_trgm ON guide_entries
            USING gin (lower(root_cause) gin_trgm_ops);
        CREATE INDEX guide_entries_resolution_steps_trgm ON guide_entries
            USING gin (lower(resolution_steps) gin_trgm_ops);
        CREATE INDEX guide_entries_resolution_code_trgm ON guide_entries
            USING gin (lower(resolution_code) gin_trgm_ops);
        CREATE INDEX guide_entries_resolution_notes_trgm ON guide_entries
            USING gin (lower(resolution_notes) gin_trgm_ops);
    END IF;
END
$$;
"""
