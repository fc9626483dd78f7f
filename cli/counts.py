"""`kintsugi exceptions counts`: how many there are, by group or by automation.

How they are counted is the server's business.
"""

from collections.abc import Iterator
from typing import Any

import click

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
        for count, name in _named(page, by):
            label = name.rpartition("/")[2] or _UNGROUPED
            click.echo(json_line(count) if as_json else f"{count.count:>9}  {label}")
    if not as_json:
        click.echo(f"{total:>9}  {'in all, at least' if at_least else 'in all'}")


def _named(page: Any, by: str) -> Iterator[tuple[Any, str]]:
    """Each count of a page, and the name of what it counts."""
    if by == "group":
        return ((count, count.group.name) for count in page.group_counts)
    return ((count, count.automation) for count in page.automation_counts)
