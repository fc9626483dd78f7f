"""`kintsugi exceptions counts`: how many there are, by group or by automation.

How they are counted is the server's business.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from typing import TypeAlias

    from kintsugi.v1 import exception_service_pb2 as service

    from cli.client import CountPage

    Count: TypeAlias = service.ExceptionGroupCount | service.ExceptionAutomationCount

_UNGROUPED = "(none)"


@click.command()
@click.option(
    "--by", type=click.Choice(["group", "automation"]), default="group", show_default=True
)
@click.option("--filter", "matching", default="", help="Which ones: `state = PENDING`.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON as REST does, one count a line.")
def counts(*, by: str, matching: str, as_json: bool) -> None:
    """Count exceptions by group or by automation."""
    from cli.client import Client
    from cli.json_lines import json_line

    total, at_least = 0, False
    for page in Client.from_environment().count(by, matching):
        total, at_least = page.total_exception_count, page.counts_are_lower_bounds
        for count in _counts(page):
            click.echo(json_line(count) if as_json else f"{count.count:>9}  {_label(count)}")
    if not as_json:
        click.echo(f"{total:>9}  {'in all, at least' if at_least else 'in all'}")


def _counts(page: "CountPage") -> "Iterator[Count]":
    from kintsugi.v1.exception_service_pb2 import CountExceptionsByGroupResponse

    if isinstance(page, CountExceptionsByGroupResponse):
        yield from page.group_counts
    else:
        yield from page.automation_counts


def _label(count: "Count") -> str:
    from kintsugi.v1.exception_service_pb2 import ExceptionGroupCount

    if isinstance(count, ExceptionGroupCount):
        return count.group.name.rpartition("/")[2] or _UNGROUPED
    return count.automation.rpartition("/")[2]
