"""Text that isn't Markdown within text that is (CommonMark).

What is said in it is decided elsewhere.
"""

import re

_BACKTICKS = re.compile("`+")
_SHORTEST_FENCE = 3


def quoting(intro: str, text: str) -> str:
    """`intro`, a colon, and the text as a code span or, of several lines, as a fenced block.

    Nothing in `text` can end either of them before its end; it isn't empty.
    """
    longest = max((len(run) for run in _BACKTICKS.findall(text)), default=0)
    if "\n" in text or "\r" in text:
        fence = "`" * max(longest + 1, _SHORTEST_FENCE)
        return f"{intro}:\n\n{fence}\n{text}\n{fence}"
    ticks = "`" * (longest + 1)
    # A span loses a blank at both its ends, unless it is blank; backticks there would be its own.
    pad = " " if text.strip(" ") and not {text[0], text[-1]}.isdisjoint("` ") else ""
    return f"{intro}: {ticks}{pad}{text}{pad}{ticks}"
