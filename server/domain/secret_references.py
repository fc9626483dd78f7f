"""What a reference to a secret looks like; the secret itself is known in `outbound/secrets.py`.

A name reaches nothing but what is meant for connectors.
"""

import re

ENV = "env"
VARIABLES_BEGIN = "KINTSUGI_SECRET_"
"""What the names of variables begin with that connectors may send."""

_REFERENCE = re.compile(
    rf"(env):({VARIABLES_BEGIN}[A-Za-z0-9_]{{1,128}})|(file):([A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})"
)


def is_reference(text: str) -> bool:
    return bool(_REFERENCE.fullmatch(text))


def parse(reference: str) -> tuple[str, str]:
    """The kind and the name, such as `env` and `KINTSUGI_SECRET_BILLING`. Raises ValueError."""
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise ValueError("no reference to a secret")
    kind, name = (each for each in match.groups() if each)
    return kind, name
