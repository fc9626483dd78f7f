"""When each principal has begun agent work."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE agent_starts (
            principal text COLLATE "C" NOT NULL,
            times timestamptz[] NOT NULL,
            PRIMARY KEY (principal)
        ) WITH (fillfactor = 50);
        """
    )
