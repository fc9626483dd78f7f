"""`kintsugi doctor`: what is wrong with a deployment, and what to do about it.

What is looked at is said in `server/doctor.py`.
"""

import json
import os
import sys
from pathlib import Path

import click

_COLOURS = {"ok": "green", "warning": "yellow", "wrong": "red"}


@click.command()
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where `kintsugi up` keeps its data.  [default: the platform's user data directory]",
)
@click.option("--database-url", envvar="KINTSUGI_DATABASE_URL", help="PostgreSQL, if not its own.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def doctor(*, data_dir: Path | None, database_url: str | None, as_json: bool) -> None:
    """Check a deployment, and say what is wrong with it.

    Settings, database, disk, servers and Envoy (KINTSUGI_SERVER). It changes nothing. Exit code
    1 where something is wrong; a warning isn't.
    """
    import platformdirs

    from cli import settings

    os.environ.setdefault(*settings.QUIET)
    from server.doctor import Deployment, Finding, Level, examine

    def tell(finding: Finding) -> None:
        if as_json:
            click.echo(json.dumps(finding._asdict()))
            return
        level = click.style(f"{finding.level:8}", fg=_COLOURS[finding.level])
        click.echo(f"{level} {finding.what:13} {finding.found}")
        if finding.advice:
            click.echo(f"{'':22} -> {finding.advice}")

    server = settings.server()
    edge = server.address if os.environ.get("KINTSUGI_SERVER") else None
    directory = data_dir or platformdirs.user_data_path("kintsugi")
    is_wrong = False
    for finding in examine(Deployment.of(directory, database_url, edge, tls=server.tls)):
        tell(finding)
        is_wrong |= finding.level is Level.WRONG
    sys.exit(1 if is_wrong else 0)
