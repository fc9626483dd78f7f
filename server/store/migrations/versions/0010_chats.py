"""Chats: sessions that answer what is asked in their threads."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.execute(_CHATS)


_CHATS = """
ALTER TABLE agent_sessions
    ADD COLUMN kind smallint NOT NULL DEFAULT 1,
    ADD COLUMN title text NOT NULL DEFAULT '',
    ADD COLUMN context bytea NOT NULL DEFAULT '',
    ADD COLUMN summary text NOT NULL DEFAULT '',
    ADD COLUMN answered bigint NOT NULL DEFAULT 0;
"""
