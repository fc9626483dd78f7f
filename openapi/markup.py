"""Pieces of HTML that the reference page is made of."""

import json
import re
from collections.abc import Iterable
from html import escape
from typing import Any

from markdown_it import MarkdownIt

_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
_TOKENS = re.compile(
    r"(?P<key>&quot;(?:(?!&quot;).)*&quot;)(?=:)|(?P<string>&quot;(?:(?!&quot;).)*&quot;)"
    r"|(?P<number>(?<=[ \[:])-?\d[\d.]*|\btrue\b|\bfalse\b)"
)


def markdown(text: str) -> str:
    """CommonMark with tables, which can be scrolled by themselves."""
    html: str = _MARKDOWN.render(text)
    html = html.replace("<table>", '<div class="wide"><table>')
    return html.replace("</table>", "</table></div>")


def code(text: str) -> str:
    """In one piece, but for what a line may be broken after."""
    return f"<code>{escape(text).replace('/', '/<wbr>')}</code>"


def badge(verb: str) -> str:
    return f'<b class="verb {verb}">{verb.upper()}</b>'


def rows(fields: Iterable[tuple[str, str, bool, str]]) -> str:
    """Name, type in HTML, whether it is required, and description of each."""
    return '<dl class="fields">' + "".join(_row(*each) for each in fields) + "</dl>"


def example(title: str, content: Any) -> str:
    """JSON, coloured, or text as it is."""
    if isinstance(content, str):
        pre = f'<pre class="text">{escape(content.rstrip())}</pre>'
    else:
        text = escape(json.dumps(content, indent=2, ensure_ascii=False))
        pre = f'<pre tabindex="0">{_TOKENS.sub(_coloured, text)}</pre>'
    return f"<figure><figcaption>{escape(title)}</figcaption>{pre}</figure>"


def _row(name: str, type: str, required: bool, description: str) -> str:  # noqa: FBT001
    mark = ' <span class="badge required">required</span>' if required else ""
    return f"<dt>{code(name)} {type}{mark}</dt><dd>{_folded(description)}</dd>"


def _folded(description: str) -> str:
    """A table in it is only seen when it is asked for."""
    before, table, after = description.partition("\n\n|")
    if not table:
        return markdown(description)
    rest = markdown(f"|{after}")
    return f"{markdown(before)}<details><summary>Fields</summary>{rest}</details>"


def _coloured(token: re.Match[str]) -> str:
    return f'<span class="{token.lastgroup}">{token[0]}</span>'
