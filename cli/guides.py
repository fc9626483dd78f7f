"""`kintsugi guides …`: one small command for each thing a person does with what was learned.

How they look is in `guide_table`; `--json` prints one object a line, as REST does.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from cli import guide_form, names, settings
from cli.terminal import say

if TYPE_CHECKING:
    from kintsugi.v1 import guide_entry_pb2 as pb

    from cli.guide_client import GuideClient

    Act = Callable[[GuideClient, pb.GuideEntry], pb.GuideEntry]

FIELDS = {
    "title": "title",
    "root_cause": "root_cause",
    "steps": "resolution_steps",
    "code": "resolution_code",
    "notes": "resolution_notes",
}
"""What can be edited, and the field that it is."""

RISKS = ("low", "medium", "high", "critical")

_MOST_BYTES = 1024 * 1024

_guide = click.argument("guide")
_as_json = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON as REST does, one entry a line."
)


@click.group()
def guides() -> None:
    """Read, approve and edit what was learned.

    GUIDE is an id, `automations/A/guideEntries/ID` or a full name.
    """
    os.environ.setdefault(*settings.QUIET)


@guides.command("list")
@click.option("--automation", default="", help="Only those of this automation.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(min=1))
@click.option("--filter", default="", help="Which ones: `state = PENDING_APPROVAL`.")
@click.option("--order-by", default="", help="`update_time desc`; default: newest first.")
@click.option("--deleted", "show_deleted", is_flag=True, help="Deleted ones too.")
@click.option("--ids", is_flag=True, help="Print ids alone, for other commands.")
@_as_json
def list_(*, automation: str, limit: int, ids: bool, as_json: bool, **asked: Any) -> None:
    """List guide entries, newest first."""
    from kintsugi.v1.guide_entry_service_pb2 import ListGuideEntriesRequest

    from cli import guide_table
    from cli.guide_client import GuideClient
    from cli.json_lines import json_line

    request = ListGuideEntriesRequest(parent=names.automations(automation), **asked)
    pages = GuideClient.from_environment().pages(limit, request)
    if ids or as_json:
        line = json_line if as_json else guide_table.id_line
        for page in pages:
            for entry in page.guide_entries:
                click.echo(line(entry))
    else:
        guide_table.print_list(list(pages))


@guides.command()
@_guide
@click.option("--version", default="", help="An older version, as `guides history` has it.")
@_as_json
def show(*, guide: str, version: str, as_json: bool) -> None:
    """Show all that a guide entry says."""
    from cli import guide_table
    from cli.guide_client import GuideClient
    from cli.json_lines import json_line

    name, client = names.guide_entry(guide), GuideClient.from_environment()
    found = client.version(name, version) if version else client.get(name)
    if as_json:
        click.echo(json_line(found))
    else:
        guide_table.print_details(found)


@guides.command()
@_guide
@click.option(
    "--self-resolving",
    is_flag=True,
    help="Let its action resolve the next such exception without asking anybody.",
)
@_as_json
def approve(*, guide: str, self_resolving: bool, as_json: bool) -> None:
    """Approve the newest version: it is the one in use."""

    from cli import guide_table

    def act(client: "GuideClient", entry: "pb.GuideEntry") -> "pb.GuideEntry":
        if self_resolving and not entry.self_resolving:
            entry = client.edit(entry, {"self_resolving": True})
        approved = client.approve(entry)
        if entry.action_type and not as_json:
            say(guide_table.action(entry))
        return approved

    _change(guide, act, "approved as {}", as_json=as_json)


@guides.command()
@_guide
@_as_json
def reject(*, guide: str, as_json: bool) -> None:
    """Reject the newest version; the one in use stays."""
    _change(guide, lambda client, entry: client.reject(entry), "rejected {}", as_json=as_json)


@guides.command()
@_guide
@click.option("--title", help="What people know it by.")
@click.option("--root-cause", help="Why it happens.")
@click.option("--steps", help="What to do.")
@click.option("--code", help="Code that shows how.")
@click.option("--notes", help="What else to know.")
@click.option("--action-type", help="The action that resolves it: `retry_run`.")
@click.option("--action-risk", type=click.Choice(RISKS), help="The most that may go wrong with it.")
@click.option("--action-parameters", metavar="JSON", help='Those of the action: {"batch": "b-7"}.')
@_as_json
def edit(
    *,
    guide: str,
    as_json: bool,
    action_risk: str | None,
    action_parameters: str | None,
    **texts: str | None,
) -> None:
    """Change what a guide entry says: a new version, to be approved.

    A text of `-` is read from standard input; an empty one unsets the field. Without any of them,
    the entry opens in your editor ($VISUAL or $EDITOR).
    """
    from cli.json_fields import struct

    given: dict[str, Any] = {
        FIELDS.get(name, name): text for name, text in texts.items() if text is not None
    }
    if action_parameters is not None:
        given["action_parameters"] = struct(action_parameters, "--action-parameters")
    if action_risk is not None:
        given["action_risk"] = f"RISK_{action_risk.upper()}"
    piped = [field for field, text in given.items() if text == "-"]
    if len(piped) > 1:
        raise click.UsageError("Only one text can be read from standard input.")
    given.update((field, _standard_input()) for field in piped)
    if not given and not (sys.stdin.isatty() or {"VISUAL", "EDITOR"} & os.environ.keys()):
        raise click.UsageError("There is no terminal to edit in: give --title, --steps, …")

    def act(client: "GuideClient", entry: "pb.GuideEntry") -> "pb.GuideEntry":
        return client.edit(entry, given) if given else _edit_by_hand(client, entry)

    _change(guide, act, "edited: {} is to be approved", as_json=as_json)


@guides.command()
@_guide
@_as_json
def history(*, guide: str, as_json: bool) -> None:
    """List the versions of a guide entry, newest first."""
    from cli import guide_table
    from cli.guide_client import GuideClient
    from cli.json_lines import json_line

    versions = list(GuideClient.from_environment().versions(names.guide_entry(guide)))
    if as_json:
        for version in versions:
            click.echo(json_line(version))
    else:
        guide_table.print_history(versions)


def _edit_by_hand(client: "GuideClient", entry: "pb.GuideEntry") -> "pb.GuideEntry":
    texts = {field: getattr(entry, field) for field in FIELDS.values()}
    form = click.edit(guide_form.write(texts), extension=".md")
    changed = guide_form.read(form, texts) if form else {}
    if not changed:
        raise click.ClickException("nothing was changed")
    try:
        return client.edit(entry, changed)
    except click.ClickException:
        _keep(form or "")
        raise


def _keep(form: str) -> None:
    """What was written must not be lost with the call that it was for."""
    with tempfile.NamedTemporaryFile(
        "w", prefix="kintsugi-guide-", suffix=".md", delete=False, encoding="utf-8"
    ) as file:
        file.write(form)
    say(f"what you wrote is kept in {file.name}")


def _standard_input() -> str:
    text = sys.stdin.buffer.read(_MOST_BYTES).decode(errors="replace")
    return text.removesuffix("\n")


def _change(guide: str, act: "Act", done: str, *, as_json: bool) -> None:
    from cli import guide_table
    from cli.guide_client import GuideClient
    from cli.json_lines import json_line

    client = GuideClient.from_environment()
    changed = act(client, client.get(names.guide_entry(guide)))
    if as_json:
        click.echo(json_line(changed))
    else:
        guide_table.print_change(changed, done)
