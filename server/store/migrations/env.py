"""Run by Alembic: takes the connection that `server.store.migrate` opened.

There is no command-line or offline use.
"""

from alembic import context

from server.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
