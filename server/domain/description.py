"""What is said of an exception before anybody has looked at it, in words for people.

The same exception always gets the same words; which kinds of failure there are is said elsewhere.
"""

from kintsugi.v1 import exception_pb2 as pb

from server.domain.failure_kinds import headline, kind_of

_LONGEST_QUOTE = 200
"""Characters of a message that are quoted."""

_UNKNOWN = "The run broke off."


def describe(exception: pb.Exception) -> str:
    """`A value that was needed was missing. The run said “KeyError: 'total'”, and …`"""
    kind = kind_of(exception.message)
    said = shortened(headline(exception.message))
    code = exception.extra.get("exit_code", "")
    ended = f"ended with exit code {code}" if code.isdigit() else ""
    told = " and ".join(part for part in (f"said “{said}”" if said else "", ended) if part)
    meaning = kind.meaning if kind else _UNKNOWN
    return f"{meaning} The run {told}." if told else meaning


def guess_group(exception: pb.Exception) -> str:
    """The id of the group that an exception seems to belong to; empty where nothing tells."""
    kind = kind_of(exception.message)
    return kind.group if kind else ""


def shortened(line: str) -> str:
    """A line, cut where it is too long to be quoted."""
    return line if len(line) <= _LONGEST_QUOTE else f"{line[: _LONGEST_QUOTE - 1].rstrip()}…"
