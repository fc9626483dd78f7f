"""Refuses to listen where others could read the tokens that callers send.

What listens, and how, is in `up` and `serve`.
"""

import click

from server.domain.addresses import is_loopback


def refuse_exposure(flag: str, host: str, advice: str) -> None:
    """Raises click.ClickException for an address that other machines reach."""
    if not is_loopback(host):
        raise click.ClickException(
            f"{flag} {host}: without TLS anybody on the way could read the tokens; {advice}"
        )
