"""`kintsugi exceptions bulk …`: resolve or archive all that match a filter, after showing which.

What a call changes at most, and what it does with each, is the server's business.
"""

from typing import TYPE_CHECKING

import click

from cli import names

if TYPE_CHECKING:
    from cli.client import BulkRequest, Client

_SHOWN = 10
_PAGE = 200

_filter = click.option("--filter", "matching", required=True, help="Which of the pending ones.")
_yes = click.option("--yes", is_flag=True, help="Don't ask before it is done.")


@click.group()
def bulk() -> None:
    """Resolve or archive all pending exceptions that match a filter."""


@bulk.command()
@_filter
@click.option("--note", default="", help="What was done about all of them.")
@_yes
def resolve(*, matching: str, note: str, yes: bool) -> None:
    """Say that all of them are repaired."""
    from kintsugi.v1.exception_service_pb2 import BulkResolveExceptionsRequest

    request = BulkResolveExceptionsRequest(
        parent=names.workspace(), filter=matching, resolution_note=note
    )
    _run(request, "resolve", "resolved", yes=yes)


@bulk.command()
@_filter
@_yes
def archive(*, matching: str, yes: bool) -> None:
    """Give all of them up."""
    from kintsugi.v1.exception_service_pb2 import BulkArchiveExceptionsRequest

    request = BulkArchiveExceptionsRequest(parent=names.workspace(), filter=matching)
    _run(request, "archive", "archived", yes=yes)


def _run(request: "BulkRequest", verb: str, done: str, *, yes: bool) -> None:
    from cli.client import Client

    client = Client.from_environment()
    count = _show(client, request)
    if not count or not (yes or click.confirm(f"{verb.capitalize()} {count}?")):
        click.echo("nothing was changed")
        return
    changed, failed = _change(client, request, count)
    click.echo(f"{changed} {done}")
    if failed:
        raise click.ClickException(f"{failed} could not be {done}")


def _show(client: "Client", request: "BulkRequest") -> int:
    """Prints what matches; answers how many."""
    preview = client.bulk(request)
    for name in preview.match_sample[:_SHOWN]:
        click.echo(f"  {names.short(name)}")
    more = preview.match_count - len(preview.match_sample[:_SHOWN])
    if more:
        click.echo(f"  … and {more} more")
    return preview.match_count


def _change(client: "Client", request: "BulkRequest", count: int) -> tuple[int, int]:
    """Changes at most as many as were shown; answers how many were, and how many were not.

    All calls are of the request's one id, so that none is changed twice.
    """
    request.force, request.max_count, request.page_size = True, count, _PAGE
    changed = failed = 0
    while True:
        page = client.bulk(request)
        for result in page.results:
            if result.status.code:
                failed += 1
                click.echo(f"{names.short(result.exception)}: {result.status.message}", err=True)
            else:
                changed += 1
        request.page_token = page.next_page_token
        if not request.page_token:
            return changed, failed
