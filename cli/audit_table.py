"""How audit entries look: a table on a terminal, plain columns in a pipe.

What is asked for, and where from, is not decided here; JSON is in `json_lines`.
"""

from collections.abc import Iterator, Sequence

from kintsugi.v1 import audit_entry_pb2 as pb
from kintsugi.v1 import audit_service_pb2 as service
from rich.table import Table
from rich.text import Text

from cli import settings
from cli.screen import new_console, plain, say_more


def print_list(pages: Sequence[service.ListAuditEntriesResponse]) -> None:
    console, table = new_console(), Table(box=None, pad_edge=False)
    for column in ("#", "time (UTC)", "who", "what", "outcome", "calls"):
        table.add_column(column, no_wrap=True)
    table.add_column("resource or method", min_width=15)
    for entry in (one for page in pages for one in page.audit_entries):
        table.add_row(*_row(entry))
    console.print(table)
    if pages:
        say_more(pages[-1], table.row_count)


def _row(entry: pb.AuditEntry) -> Iterator[Text]:
    yield Text(str(entry.sequence))
    yield Text(f"{entry.create_time.ToDatetime():%Y-%m-%d %H:%M:%S}")
    yield plain(entry.principal)
    yield plain(entry.type)
    yield Text(entry.outcome, style="green" if entry.outcome == "OK" else "red")
    yield Text(str(entry.count))
    yield plain(entry.resource.removeprefix(f"{settings.workspace()}/") or entry.method)
