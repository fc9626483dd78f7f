"""`kintsugi migrate`: brings a database's schema to the newest version.

`kintsugi up` does it by itself.
"""

import click

from cli.importing import for_good


@click.command()
@click.option("--database-url", envvar="KINTSUGI_DATABASE_URL", required=True, help="PostgreSQL.")
@click.option("--recount", is_flag=True, help="Also count all exceptions anew; writers wait.")
@click.option(
    "--app-role", default="", help="Grant this role what servers need; it can't alter the audit."
)
def migrate(*, database_url: str, recount: bool, app_role: str) -> None:
    """Bring the database's schema to the newest version."""
    with for_good():
        from server import database

    try:
        database.migrate(database_url, app_role, recount=recount)
    except database.CannotRun as error:
        raise click.ClickException(str(error)) from error
