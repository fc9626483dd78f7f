"""The names and values that a token stands for: its dots, quotes, escapes and wildcards."""

import re
from itertools import accumulate

from filters.ast import Literal, Member
from filters.errors import FilterSyntaxError, quote

BETWEEN = "put a space or AND between two conditions"

_STRING = r"""(?:"[^"\\]*(?:\\.[^"\\]*)*"|'[^'\\]*(?:\\.[^'\\]*)*')"""
STRING = re.compile(_STRING, re.DOTALL)
_PART = re.compile(rf"""({_STRING})|([^."']+)""", re.DOTALL)
# The first half of a surrogate pair takes the other one with it.
_PAIR = r"u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPE = re.compile(rf"\\(?:{_PAIR}|u[0-9a-fA-F]{{4}}|.)", re.DOTALL)
_ESCAPE_OR_STAR = re.compile(rf"{_ESCAPE.pattern}|\*", re.DOTALL)
_SHORT_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"', "*": "*"}


def member(token: re.Match[str]) -> Member:
    """The path that a token names, as the field of a comparison."""
    text, start = token[0], token.start()
    if text.isidentifier():
        return Member((text,), (start,))
    if '"' in text or "'" in text:
        parts = [_part(part, start) for part in _PART.finditer(text)]
        names, offsets = zip(*[(part.text, part.offset) for part in parts], strict=True)
        return Member(names, offsets, parts[0].quoted)
    if "." not in text:
        return Member((text,), (start,))
    plain = text.split(".")
    lengths = [len(name) + 1 for name in plain[:-1]]
    return Member(tuple(plain), tuple(accumulate(lengths, initial=start)))


def operand(token: re.Match[str]) -> Literal | Member:
    """What a token means alone or as a value: a literal, or a dotted path with a part in quotes."""
    text = token[0]
    if text[0] in "\"'":
        # Most strings are known by their second quote being the end, without the expression.
        if text.find(text[0], 1) == len(text) - 1 or STRING.fullmatch(text):
            return quoted_literal(text[1:-1], token.start())
        return member(token)
    if '"' in text or "'" in text:
        return member(token)
    if text == "-":
        hint = 'write it right before a number, or "-" in quotes'
        raise FilterSyntaxError("this '-' stands alone", token.start(), hint)
    return plain_literal(text, token.start())


def plain_literal(text: str, offset: int) -> Literal:
    """The literal written without quotes."""
    return Literal(text, offset, False, _stars(text) if "*" in text else ())  # noqa: FBT003


def quoted_literal(raw: str, offset: int) -> Literal:
    """The literal written `raw` inside quotes, the first of which stands at `offset`."""
    if "\\" not in raw:
        return Literal(raw, offset, True, _stars(raw) if "*" in raw else ())  # noqa: FBT003
    if "*" not in raw:
        return Literal(_unescape(raw, offset + 1), offset, True)  # noqa: FBT003
    pieces, start = list[str](), 0
    for found in _ESCAPE_OR_STAR.finditer(raw):
        if found[0] == "*":
            pieces.append(_unescape(raw[start : found.start()], offset + 1 + start))
            start = found.end()
    stars = accumulate([len(piece) + 1 for piece in pieces], initial=-1)
    pieces.append(_unescape(raw[start:], offset + 1 + start))
    return Literal("*".join(pieces), offset, True, tuple(stars)[1:])  # noqa: FBT003


def _part(part: re.Match[str], start: int) -> Literal:
    quoted, plain = part.groups()
    offset = start + part.start()
    return quoted_literal(quoted[1:-1], offset) if quoted else plain_literal(plain, offset)


def _stars(text: str) -> tuple[int, ...]:
    found, star = list[int](), text.find("*")
    while star >= 0:
        found.append(star)
        star = text.find("*", star + 1)
    return tuple(found)


def _unescape(raw: str, offset: int) -> str:
    """What stands in quotes, without its escapes; `offset` is where it begins."""
    parts = _SHORT_ESCAPE.split(raw)
    characters = [_ESCAPED.get(escaped) for escaped in parts[1::2]]
    if None in characters:  # one of them is longer, or no escape
        return _ESCAPE.sub(lambda found: _character(found[0], offset + found.start()), raw)
    parts[1::2] = characters
    return "".join(parts)


def _character(escape: str, offset: int) -> str:
    known = _ESCAPED.get(escape[1:])
    if known is not None:
        return known
    if len(escape) == 2:
        hint = r"there are \\ \' \" \n \t \r \* \uXXXX; a backslash itself is written \\"
        raise FilterSyntaxError(f"{quote(escape)} is no escape", offset, hint)
    try:
        character = bytes.fromhex(escape.replace("\\u", "")).decode("utf-16-be")
    except UnicodeDecodeError:
        character = ""
    if character in ("", "\0"):
        raise FilterSyntaxError(f"{quote(escape)} is no character", offset)
    return character
