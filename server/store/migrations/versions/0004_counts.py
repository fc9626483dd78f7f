"""Exception groups, and the counts of exceptions, begun with those that there are."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE exception_groups (
            workspace uuid NOT NULL,
            id text COLLATE "C" NOT NULL,
            default_assignee text COLLATE "C" NOT NULL DEFAULT '',
            version integer NOT NULL DEFAULT 1,
            update_time timestamptz NOT NULL DEFAULT statement_timestamp(),
            PRIMARY KEY (workspace, id)
        );
        INSERT INTO exception_groups (workspace, id)
        SELECT uid, unnest(ARRAY['missing_values', 'user_system_error', 'internal_error'])
        FROM workspaces;

        CREATE TABLE exception_counts (
            workspace uuid NOT NULL,
            automation text COLLATE "C" NOT NULL,
            "group" text COLLATE "C" NOT NULL,
            state smallint NOT NULL,
            stage smallint NOT NULL,
            n bigint NOT NULL,
            PRIMARY KEY (workspace, automation, "group", state, stage)
        ) WITH (fillfactor = 50);
        CREATE TABLE exception_count_deltas (
            workspace uuid NOT NULL,
            id bigint GENERATED ALWAYS AS IDENTITY,
            automation text COLLATE "C" NOT NULL,
            "group" text COLLATE "C" NOT NULL,
            state smallint NOT NULL,
            stage smallint NOT NULL,
            n smallint NOT NULL,
            PRIMARY KEY (workspace, id)
        ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);

        -- Nobody raises or changes any between being counted here and counting by themselves.
        LOCK TABLE exceptions IN SHARE ROW EXCLUSIVE MODE;
        INSERT INTO exception_counts
        SELECT workspace, automation, "group", state, stage, count(*)
        FROM exceptions
        GROUP BY workspace, automation, "group", state, stage;
        """
    )
