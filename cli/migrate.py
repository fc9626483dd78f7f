"""`kintsugi migrate`: brings a database's schema to the newest version.

`kintsugi up` does it by itself.
"""

import click


@click.command()
@click.option("--database-url", envvar="KINTSUGI_DATABASE_URL", required=True, help="PostgreSQL.")
def migrate(database_url: str) -> None:
    """Bring the database's schema to the newest version."""
    from server import database

    try:
        database.migrate(database_url)
    except database.CannotRun as error:
        raise click.ClickException(str(error)) from error
