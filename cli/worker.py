"""`kintsugi worker`: one process that goes on with agent sessions.

`kintsugi up` starts one beside the servers; any number may work on one database.
"""

from pathlib import Path
from typing import Any

import click

from cli.importing import for_good


@click.command()
@click.option("--database-url", envvar="KINTSUGI_DATABASE_URL", required=True, help="PostgreSQL.")
@click.option("--sessions-at-once", type=int, help="Agent sessions at once.  [default: 8]")
@click.option(
    "--ready-file", type=click.Path(path_type=Path), help="Written when the process works."
)
def worker(**flags: object) -> None:
    """Run agent sessions until SIGTERM or Ctrl-C."""
    with for_good():
        from pydantic import ValidationError

        from server import worker as work
        from server.config import Settings, wrong_values
        from server.database import CannotRun

    given: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
    try:
        work.run(Settings(**given))
    except ValidationError as error:
        raise click.ClickException("\n  ".join(wrong_values(error))) from error
    except CannotRun as error:
        raise click.ClickException(str(error)) from error
