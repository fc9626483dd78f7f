"""Comments of the protos as CommonMark, with what OpenAPI says by itself taken out."""

import re
from dataclasses import dataclass

_BEHAVIOR = re.compile(r"(Required|Optional|Output only|Identifier)\.(\s+|$)")
_EXAMPLE = re.compile(r"\s*\bExample: (.+)\Z", re.DOTALL)
_TEMPLATE = re.compile(r"(?<!`)\b[\w/]*/\{\w+\}[\w/{}]*")
_FORMAT = re.compile(r"(?:^|\n)(?=Format: )")
_VARIABLE = re.compile(r"\{(\w+)\}")

SAMPLE_IDS = {
    "organization": "local",
    "workspace": "default",
    "automation": "billing",
    "run": "2026-10-07",
    "agent": "kai",
    "user": "local",
    "member": "ada",
    "access_token": "0199bb1c1e07d2a94b6f83c5e0a1",
    "exception": "0199bb1c2f3ad81f0c6a5e7b9d24",
    "exception_group": "missing_values",
    "connector": "reprocess-usage",
    "event": "2",
    "agent_session": "0199bb1c5a10f4e8d2c6b0a19375",
    "action": "0199bb1c6b42a9d0e7f3c18254ab",
}


@dataclass(frozen=True)
class Prose:
    """What a comment says: text, and the example that it ends with, as it was written."""

    text: str
    example: str | None = None


def read(comment: str) -> Prose:
    """`Required. What broke. Example: "a"` as the text `What broke.` and the example `"a"`."""
    text = _BEHAVIOR.sub("", comment, count=1) if _BEHAVIOR.match(comment) else comment
    found = _EXAMPLE.search(text)
    example = " ".join(found[1].split()) if found else None
    text = _EXAMPLE.sub("", text)
    return Prose(_TEMPLATE.sub(r"`\g<0>`", _FORMAT.sub("\n\n", text)).strip(), example)


def sample_of_format(text: str) -> str | None:
    """`Format: users/{user}` as `users/local`."""
    found = re.search(r"Format: `?([^\s`]+)", text)
    return _VARIABLE.sub(lambda variable: sample_id(variable[1]), found[1]) if found else None


def sample_id(variable: str) -> str:
    return SAMPLE_IDS.get(variable, variable.replace("_", "-") + "-1")


def words(name: str) -> str:
    """`ListEventsOfAgentSession` as `List events of agent session`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).capitalize()
