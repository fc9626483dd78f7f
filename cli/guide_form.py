"""A guide entry as a text to edit: one part a field, each below a heading of its own.

How it gets into an editor is decided in `guides`.
"""

import re
from collections.abc import Mapping

_INTRO = "Each part is one field; an empty one is unset. What stands up here is ignored."
_SHORTEST_MARK = 3


def write(texts: Mapping[str, str]) -> str:
    """The fields as a form.

    >>> print(write({"title": "No total"}))
    Each part is one field; an empty one is unset. What stands up here is ignored.
    <BLANKLINE>
    === title ===
    <BLANKLINE>
    No total
    <BLANKLINE>
    """
    mark = _mark(texts)
    parts = [f"{mark} {name} {mark}\n\n{text.strip(chr(10))}\n" for name, text in texts.items()]
    return "\n".join([f"{_INTRO}\n", *parts])


def read(form: str, texts: Mapping[str, str]) -> dict[str, str]:
    """The fields that differ from `texts` in what was made of their form; a lost one doesn't."""
    mark = _mark(texts)
    heading = re.compile(rf"^{mark} ({'|'.join(texts)}) {mark}[ \t]*$", re.MULTILINE)
    _, *parts = heading.split(form.replace("\r\n", "\n"))
    read = {name: text.strip("\n") for name, text in zip(parts[::2], parts[1::2], strict=True)}
    return {name: text for name, text in read.items() if text != texts[name].strip("\n")}


def _mark(texts: Mapping[str, str]) -> str:
    """What no line of the texts begins with."""
    longest = max(
        (len(run) for text in texts.values() for run in re.findall("=+", text)), default=0
    )
    return "=" * max(longest + 1, _SHORTEST_MARK)
