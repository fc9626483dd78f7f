"""Who belongs to a workspace, and the tokens they call with."""

from alembic import op

revision = "0006"
down_revision = "0004"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE members (
            workspace uuid NOT NULL,
            id text COLLATE "C" NOT NULL,
            title text NOT NULL,
            role smallint NOT NULL,
            version integer NOT NULL DEFAULT 1,
            create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
            update_time timestamptz NOT NULL DEFAULT clock_timestamp(),
            PRIMARY KEY (workspace, id)
        );
        CREATE INDEX members_principal ON members (id);

        CREATE TABLE access_tokens (
            workspace uuid NOT NULL,
            id text COLLATE "C" NOT NULL,
            digest bytea NOT NULL,
            principal text COLLATE "C" NOT NULL,
            title text NOT NULL,
            role smallint NOT NULL,
            all_workspaces boolean NOT NULL,
            expire_time timestamptz,
            revoked boolean NOT NULL DEFAULT false,
            last_use_time timestamptz,
            version integer NOT NULL DEFAULT 1,
            create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
            update_time timestamptz NOT NULL DEFAULT clock_timestamp(),
            PRIMARY KEY (workspace, id)
        );
        CREATE UNIQUE INDEX access_tokens_digest ON access_tokens (digest);
        """
    )
