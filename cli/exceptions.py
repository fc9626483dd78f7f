"""`kintsugi exceptions …`: one small command for each thing a person does with an exception.

How they look is in `table`; `--json` prints one object a line, as REST does.
"""

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

from cli import names, settings
from cli.bulk import bulk
from cli.counts import counts
from cli.watch import watch

if TYPE_CHECKING:
    from kintsugi.v1 import exception_pb2 as pb

    from cli.client import Client

    Act = Callable[[Client], pb.Exception]

as_json = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON as REST does, one exception a line."
)


@click.group()
def exceptions() -> None:
    """List, watch, resolve and otherwise handle exceptions.

    EXCEPTION is an id, `exceptions/ID` or a full name.
    """
    os.environ.setdefault(*settings.QUIET)


exceptions.add_command(bulk)
exceptions.add_command(counts)
exceptions.add_command(watch)


@exceptions.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(min=1))
@click.option("--filter", "matching", default="", help="Which ones: `state = PENDING`.")
@click.option("--order-by", default="", help="`occurrence_count desc`; default: newest first.")
@click.option("--ids", is_flag=True, help="Print ids alone, for other commands.")
@as_json
def list_(*, limit: int, matching: str, order_by: str, ids: bool, as_json: bool) -> None:
    """List exceptions, newest first."""
    from cli import table
    from cli.client import Client
    from cli.json_lines import json_line

    pages = Client.from_environment().pages(limit, matching, order_by)
    if ids or as_json:
        line = json_line if as_json else table.id_line
        for page in pages:
            _print(line(exception) for exception in page.exceptions)
    else:
        table.print_list(list(pages))


@exceptions.command()
@click.argument("exception")
@as_json
def get(*, exception: str, as_json: bool) -> None:
    """Show all that is known about an exception."""
    from cli import table
    from cli.json_lines import json_line

    found = _do(lambda client: client.get(names.exception(exception)))
    if as_json:
        click.echo(json_line(found))
    else:
        table.print_details(found)


def _pairs(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    parts = [value.partition("=") for value in values]
    for key, equals, _ in parts:
        if not equals:
            raise click.BadParameter(f"{key!r} must have the form KEY=VALUE")
    return {key: value for key, _, value in parts}


@exceptions.command()
@click.option("--automation", default="", help="Id or name of the automation.")
@click.option("--run", required=True, help="Id of the run, or its full name.")
@click.option("--message", required=True, help="What the run said when it broke.")
@click.option("--extra", multiple=True, metavar="KEY=VALUE", callback=_pairs)
@as_json
def create(
    *, automation: str, run: str, message: str, extra: dict[str, str], as_json: bool
) -> None:
    """Raise an exception by hand."""
    if not automation and not run.startswith("organizations/"):
        raise click.UsageError("Missing option '--automation': it says whose run this is.")
    run_name = names.run(automation, run)

    def raise_it(client: "Client") -> "pb.Exception":
        from cli.client import new_exception

        return client.create(new_exception(run_name, message, extra))

    _change(raise_it, "raised", as_json=as_json)


@exceptions.command()
@click.argument("exception")
@click.option("--note", default="", help="What was done about it, for the next one.")
@as_json
def resolve(*, exception: str, note: str, as_json: bool) -> None:
    """Say that it is repaired: its run goes on."""
    name = names.exception(exception)
    _change(lambda client: client.resolve(name, note), "resolved", as_json=as_json)


@exceptions.command()
@click.argument("exception")
@as_json
def archive(*, exception: str, as_json: bool) -> None:
    """Give it up: its run ends as it is."""
    name = names.exception(exception)
    _change(lambda client: client.archive(name), "archived", as_json=as_json)


@exceptions.command()
@click.argument("exception")
@as_json
def unarchive(*, exception: str, as_json: bool) -> None:
    """Make an archived exception pending again."""
    name = names.exception(exception)
    _change(lambda client: client.unarchive(name), "pending again", as_json=as_json)


@exceptions.command()
@click.argument("exception")
@click.argument("user")
@as_json
def assign(*, exception: str, user: str, as_json: bool) -> None:
    """Say who is to resolve it; an empty USER ("") takes it from everybody."""
    name, assignee = names.exception(exception), names.user(user)
    done = f"assigned to {assignee}" if assignee else "assigned to nobody"
    _change(lambda client: client.assign(name, assignee), done, as_json=as_json)


def _do(act: "Act") -> "pb.Exception":
    from cli.client import Client

    return act(Client.from_environment())


def _change(act: "Act", done: str, *, as_json: bool) -> None:
    from cli import table
    from cli.json_lines import json_line

    changed = _do(act)
    if as_json:
        click.echo(json_line(changed))
    else:
        table.print_change(changed, done)


def _print(lines: Iterable[Any]) -> None:
    for line in lines:
        click.echo(line)
