"""`kintsugi audit …`: who did what, whether the record of it is whole, and all of it as lines.

How they look is in `audit_table`; `--json` prints one object a line, as REST does.
"""

import os
from typing import Any

import click

from cli import names, settings

_filter = click.option("--filter", default="", help='Which ones: `principal = "users/ada"`.')


@click.group()
def audit() -> None:
    """Read who did what in a workspace, and verify that nobody changed it since."""
    os.environ.setdefault(*settings.QUIET)


@audit.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(min=1))
@_filter
@click.option("--order-by", default="", help="`sequence`; default: newest first.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON as REST does, one entry a line.")
def list_(*, limit: int, as_json: bool, **asked: Any) -> None:
    """List audit entries, newest first."""
    from kintsugi.v1.audit_service_pb2 import ListAuditEntriesRequest

    from cli import audit_table
    from cli.audit_client import AuditClient

    request = ListAuditEntriesRequest(parent=names.workspace(), **asked)
    pages = AuditClient.from_environment().pages(request, limit)
    if as_json:
        _print_lines(pages)
    else:
        audit_table.print_list(list(pages))


@audit.command()
@_filter
def export(*, filter: str) -> None:
    """Print all audit entries as JSON, one a line, oldest first.

    What was printed once never changes: `--filter 'sequence > 1000'` goes on.
    """
    from kintsugi.v1.audit_service_pb2 import ListAuditEntriesRequest

    from cli.audit_client import AuditClient

    request = ListAuditEntriesRequest(parent=names.workspace(), filter=filter, order_by="sequence")
    _print_lines(AuditClient.from_environment().pages(request))


@audit.command()
@click.option(
    "--checkpoint",
    default="",
    help="Begin there: what an earlier `audit verify` printed and was kept elsewhere.",
)
def verify(*, checkpoint: str) -> None:
    """Compute the chain of hashes anew, and find the first entry that was tampered with.

    Prints the checkpoint that it got to. Exit code 1 says that a link is broken, or that what the
    checkpoint stands for is pruned.
    """
    from cli.audit_client import AuditClient
    from cli.terminal import say

    count, is_pruned = 0, None
    for found in AuditClient.from_environment().verify(names.workspace(), checkpoint):
        count += found.verified_count
        if is_pruned is None:  # later ones are checkpoints of this command
            is_pruned = found.checkpoint_pruned
        if found.HasField("broken_link"):
            broken = found.broken_link
            raise click.ClickException(
                f"{count} entries are as they were sealed, then {broken.audit_entry}"
                f" {broken.reason}"
            )
        if found.done:
            say(f"{count} entries are as they were sealed, {found.unsealed_count} wait for it")
            click.echo(found.checkpoint)
    if is_pruned:
        raise click.ClickException("the checkpoint is pruned: nothing was compared with it")


def _print_lines(pages: Any) -> None:
    from cli.json_lines import json_line

    for page in pages:
        for entry in page.audit_entries:
            click.echo(json_line(entry))
