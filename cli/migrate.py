"""`kintsugi migrate`: brings a database's schema to the newest version.

`kintsugi up` does it by itself.
"""

import click


@click.command()
@click.option("--database-url", envvar="KINTSUGI_DATABASE_URL", required=True, help="PostgreSQL.")
@click.option(
    "--app-role", default="", help="Grant this role what servers need; it can't alter the audit."
)
def migrate(database_url: str, app_role: str) -> None:
    """Bring the database's schema to the newest version."""
    from server import app

    try:
        app.migrate(database_url, app_role)
    except app.CannotRun as error:
        raise click.ClickException(str(error)) from error
