"""`kintsugi serve`: one gRPC server process.

`kintsugi up` starts several of them, with all that they need.
"""

import os
from pathlib import Path
from typing import Any

import click

from cli.exposure import refuse_exposure
from cli.importing import for_good

_ADVICE = (
    "a server process speaks plain gRPC: leave it on loopback and let Envoy speak TLS, or say"
    " --insecure where the network is your own"
)


@click.command()
@click.option("--database-url", envvar="KINTSUGI_DATABASE_URL", required=True, help="PostgreSQL.")
@click.option("--grpc-host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--insecure", is_flag=True, default=None, help="Let others reach it without TLS.")
@click.option("--grpc-port", type=int, help="Port to listen on; 0: a free one.  [default: 50051]")
@click.option(
    "--ready-file", type=click.Path(path_type=Path), help="Written when the process serves."
)
def serve(**flags: object) -> None:
    """Run one gRPC server process until SIGTERM or Ctrl-C."""
    # gRPC's own lines on standard error repeat what is said here.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    with for_good():
        from pydantic import ValidationError

        from server import app
        from server.config import Settings, wrong_values
        from server.database import CannotRun

    given: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
    try:
        settings = Settings(**given)
        if not settings.insecure:
            refuse_exposure("--grpc-host", settings.grpc_host, _ADVICE)
        app.run(settings)
    except ValidationError as error:
        raise click.ClickException("\n  ".join(wrong_values(error))) from error
    except CannotRun as error:
        raise click.ClickException(str(error)) from error
