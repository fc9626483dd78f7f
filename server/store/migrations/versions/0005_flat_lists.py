"""What keeps lists by group, and totals of a span of time, quick in a large workspace."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute(
        """
        CREATE INDEX exceptions_group ON exceptions (workspace, "group", create_time, id);

        CREATE TABLE exception_day_counts (
            workspace uuid NOT NULL,
            day integer NOT NULL,
            state smallint NOT NULL,
            n bigint NOT NULL,
            PRIMARY KEY (workspace, day, state)
        ) WITH (fillfactor = 50);

        -- The deltas that there are know no day, so everything is counted anew; nobody raises or
        -- changes any meanwhile.
        LOCK TABLE exceptions IN SHARE ROW EXCLUSIVE MODE;
        TRUNCATE exception_counts, exception_count_deltas;
        ALTER TABLE exception_count_deltas ADD COLUMN day integer NOT NULL;
        INSERT INTO exception_counts
        SELECT workspace, automation, "group", state, stage, count(*)
        FROM exceptions
        GROUP BY workspace, automation, "group", state, stage;
        INSERT INTO exception_day_counts
        SELECT workspace, floor(extract(epoch FROM create_time) / 86400), state, count(*)
        FROM exceptions
        GROUP BY workspace, floor(extract(epoch FROM create_time) / 86400), state;
        """
    )
