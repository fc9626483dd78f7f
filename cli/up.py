"""`kintsugi up`: everything on this machine in one terminal, and where to find it.

How the processes are started and looked after is in `server/launch/`.
"""

import json
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Self

import click

from cli import private_file, settings
from cli.exposure import refuse_exposure
from cli.terminal import command_line

if TYPE_CHECKING:
    from server.launch.certificate import Certificate
    from server.launch.data_directory import DataDirectory
    from server.launch.supervisor import Addresses

_MOST_WORKERS = 4
_PORT = click.IntRange(0, 65535)
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the database and the logs are.  [default: the platform's user data directory]",
)
@click.option("--port", type=_PORT, default=8080, show_default=True, help="REST, gRPC, gRPC-Web.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The IP address of --port.")
@click.option("--tls-cert", type=_FILE, help="Speak TLS on --port: the certificate chain, in PEM.")
@click.option("--tls-key", type=_FILE, help="The key of --tls-cert, in PEM without a password.")
@click.option("--insecure", is_flag=True, help="Let others reach --port without TLS.")
@click.option(
    "--grpc-port", type=_PORT, help="The first server process; the next ones follow.  [50051]"
)
@click.option("--health-port", type=_PORT, help="/healthz and /readyz.  [8081]")
@click.option("--metrics-port", type=_PORT, help="/metrics.  [9090]")
@click.option(
    "--workers",
    type=click.IntRange(1, 16),
    help=f"Server processes.  [default: one a core, at most {_MOST_WORKERS}]",
)
@click.option(
    "--database-url",
    envvar="KINTSUGI_DATABASE_URL",
    help="A PostgreSQL of your own, 17 or newer.  [default: one in the data directory]",
)
@click.option(
    "--ready-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Written when everything answers: JSON with all addresses.",
)
@click.option("--no-pin", is_flag=True, help="Let server processes run on any core.")
def up(  # noqa: PLR0913 (one a flag)
    *,
    data_dir: Path | None,
    port: int,
    host: str,
    tls_cert: Path | None,
    tls_key: Path | None,
    insecure: bool,
    grpc_port: int | None,
    health_port: int | None,
    metrics_port: int | None,
    workers: int | None,
    database_url: str | None,
    ready_file: Path | None,
    no_pin: bool,
) -> None:
    """Start everything on this machine; Ctrl-C stops it.

    PostgreSQL, the server processes and Envoy, all on 127.0.0.1 but for Envoy with `--host`. With
    `--port 0` every port that isn't named is a free one.
    """
    from server.config import unknown_variables
    from server.launch.child import CannotStart
    from server.launch.data_directory import DataDirectory
    from server.launch.envoy import Listener
    from server.launch.pinning import usable_cores
    from server.launch.supervisor import Options, Supervisor

    def chosen(named: int | None, usual: int) -> int:
        return named if named is not None else (usual if port else 0)

    address = _ip_address(host)
    certificate = _certificate(tls_cert, tls_key)
    if not (certificate or insecure):
        refuse_exposure("--host", host, "give --tls-cert and --tls-key, or --insecure")
    data = DataDirectory(data_dir or settings.data_dir())
    options = Options(
        edge=Listener(port, address, certificate),
        grpc_port=chosen(grpc_port, 50051),
        health_port=chosen(health_port, 8081),
        metrics_port=chosen(metrics_port, 9090),
        workers=workers or min(usable_cores(), _MOST_WORKERS),
        database_url=database_url,
        pin=not no_pin,
    )
    _check_settings(database_url)
    for name, advice in unknown_variables().items():
        _tell(f"warning: {name} means nothing: {advice}")
    try:
        data.take()
        with _Ready(data, ready_file) as ready:
            Supervisor(options, data, _tell).run(ready.announce)
    except CannotStart as problem:
        raise click.ClickException(str(problem)) from None
    except OSError as problem:
        raise click.ClickException(f"can't start: {problem}") from None


def _check_settings(database_url: str | None) -> None:
    """The servers would refuse them too, but when all else has started."""
    from pydantic import ValidationError

    from server.config import Settings, wrong_values

    try:
        Settings(database_url=database_url or "postgresql:///")
    except ValidationError as error:
        raise click.ClickException("\n  ".join(wrong_values(error))) from None


def _certificate(chain: Path | None, key: Path | None) -> "Certificate | None":
    from server.launch.certificate import Certificate

    if chain and key:
        return Certificate(chain, key)
    if chain or key:
        raise click.ClickException("--tls-cert and --tls-key go together: give both, or neither")
    return None


def _ip_address(host: str) -> str:
    try:
        return str(ip_address(host))
    except ValueError:
        raise click.ClickException(
            f"--host {host}: it must be an IP address, such as 0.0.0.0"
        ) from None


class _Ready:
    """Tells people, and whoever waits for the file, that everything answers, while it does."""

    def __init__(self, data: "DataDirectory", file: Path | None) -> None:
        self._data = data
        self._file = file
        self._earlier = self._token()

    def _token(self) -> str:
        with suppress(OSError):
            return self._data.token.read_text().strip()
        return ""

    def announce(self, addresses: "Addresses") -> None:
        if self._file is not None:
            document = json.dumps(_document(addresses, self._token()))
            private_file.write(self._file, f"{document}\n")
        _tell(_summary(addresses, self._data))
        if self._token() != self._earlier:
            _tell(f"\nYour token, shown this once: {self._token()}")

    def __enter__(self) -> Self:
        self._withdraw()  # a killed predecessor couldn't
        if self._file is not None and not self._file.parent.is_dir():
            raise click.ClickException(f"--ready-file: there is no folder {self._file.parent}")
        return self

    def __exit__(self, *exception: object) -> None:
        self._withdraw()

    def _withdraw(self) -> None:
        if self._file is not None:
            self._file.unlink(missing_ok=True)


def _document(addresses: "Addresses", token: str) -> dict[str, object]:
    return {
        "rest": addresses.rest,
        "grpc": addresses.grpc,
        "health": addresses.health,
        "metrics": addresses.metrics,
        "workspace": settings.DEFAULT_WORKSPACE,
        "token": token,
    }


def _summary(addresses: "Addresses", data: "DataDirectory") -> str:
    is_usual = data.path == settings.data_dir().absolute()
    server = addresses.rest.removeprefix("http://")
    where = {"server": server, "token_file": "" if is_usual else str(data.token)}
    run = command_line("exec", "--automation", "hello", "--", **where)
    look = command_line("exceptions", "list", **where)
    return f"""\
Kintsugi is up. Its data and logs are in {data.path}

  REST     {addresses.rest}/api/v1/{settings.DEFAULT_WORKSPACE}/exceptions
  gRPC     {addresses.edge}, and the server processes: {", ".join(addresses.grpc)}
  health   {addresses.health}/readyz
  metrics  {addresses.metrics}
  token    in {data.token}, with which the commands below call

In another terminal:
  {run} sh -c 'echo it broke >&2; exit 3'
  {look}

Ctrl-C stops it all."""


def _tell(text: str) -> None:
    with suppress(OSError):  # the terminal may be gone: that is no reason to stop
        click.echo(text)
