"""The `kintsugi` command: which subcommands there are, and how errors reach the terminal.

What a subcommand does, and everything slow to import, is in the subcommand's own module.
"""

import importlib
import sys

import click

COMMANDS = {
    "up": ("cli.up:up", "Start everything on this machine; Ctrl-C stops it."),
    "serve": ("cli.serve:serve", "Run one gRPC server process."),
    "worker": ("cli.worker:worker", "Run agent sessions."),
    "migrate": ("cli.migrate:migrate", "Bring a database to the newest schema."),
    "doctor": ("cli.doctor:doctor", "Check a deployment, and say what is wrong with it."),
    "exec": ("cli.exec:exec_", "Run a job; its failure becomes an exception."),
    "exceptions": (
        "cli.exceptions:exceptions",
        "List, watch, resolve and otherwise handle exceptions.",
    ),
    "guides": ("cli.guides:guides", "Read, approve and edit what was learned."),
    "sessions": (
        "cli.sessions:sessions",
        "Have agents look into exceptions.",
    ),
    "connectors": ("cli.connectors:connectors", "Say how actions are carried out."),
    "workspaces": ("cli.workspaces:workspaces", "List, make and change workspaces."),
    "members": ("cli.members:members", "Say who may do what in the workspace."),
    "tokens": ("cli.tokens:tokens", "Make, list and revoke access tokens."),
    "audit": ("cli.audit:audit", "Read who did what, verify and export it."),
    "events": ("cli.events:events", "Read, follow and write what is said about a run."),
}
"""Name of a subcommand: where it lives, and one line for `--help`, which imports none of them."""

INTERRUPTED = 130


class LazyGroup(click.Group):
    """A group that imports a subcommand when it is used."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="kintsugi", message="kintsugi %(version)s")
def kintsugi() -> None:
    """Carry a broken automation run from exception to repair.

    The client commands find the service by KINTSUGI_SERVER (host:port, or
    https://host:port; default 127.0.0.1:8080) and the workspace by
    KINTSUGI_WORKSPACE (default organizations/local/workspaces/default; an id
    alone is one of organizations/local). They call with KINTSUGI_TOKEN, or the
    token in the file KINTSUGI_TOKEN_FILE; on the machine of `kintsugi up`, with
    the one that it keeps.
    """


def main() -> None:
    """The console script. Exit codes: 1 for an error, 2 for wrong use, 130 for Ctrl-C."""
    try:
        code = kintsugi.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except click.Abort:
        code = INTERRUPTED
    sys.exit(code)
