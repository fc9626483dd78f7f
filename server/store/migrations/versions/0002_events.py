"""Threads, their events, and the change record in the order in which watchers read it."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute(
        """
        DROP INDEX changes_committed;
        CREATE INDEX changes_committed ON changes (workspace, epoch, xid, id);
        CREATE TABLE pruned_changes (
            workspace uuid PRIMARY KEY,
            epoch integer NOT NULL,
            xid xid8 NOT NULL,
            id bigint NOT NULL
        );

        CREATE TABLE threads (
            workspace uuid NOT NULL,
            id bigint GENERATED ALWAYS AS IDENTITY,
            name text COLLATE "C" NOT NULL,
            last bigint NOT NULL,
            last_time timestamptz NOT NULL DEFAULT clock_timestamp(),
            cancelled_through bigint NOT NULL DEFAULT 0,
            pruned_through bigint NOT NULL DEFAULT 0,
            PRIMARY KEY (workspace, id)
        ) WITH (fillfactor = 70);
        CREATE UNIQUE INDEX threads_name ON threads (workspace, name);

        CREATE TABLE events (
            workspace uuid NOT NULL,
            thread bigint NOT NULL,
            id bigint NOT NULL,
            completed bigint,
            state smallint NOT NULL,
            kind smallint NOT NULL,
            exception text COLLATE "C" NOT NULL DEFAULT '',
            text text NOT NULL DEFAULT '',
            details bytea NOT NULL DEFAULT '',
            create_time timestamptz NOT NULL,
            update_time timestamptz NOT NULL,
            PRIMARY KEY (workspace, thread, id)
        );
        CREATE UNIQUE INDEX events_completed ON events (workspace, thread, completed);
        CREATE INDEX events_streaming ON events (workspace, thread) WHERE state = 1;

        CREATE TABLE event_chunks (
            workspace uuid NOT NULL,
            thread bigint NOT NULL,
            sequence bigint NOT NULL,
            event bigint NOT NULL,
            text text NOT NULL,
            PRIMARY KEY (workspace, thread, sequence)
        );
        """
    )
