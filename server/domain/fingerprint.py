"""What a message has in common with others of the same failure, and a digest of that.

What varies from one time to the next is masked; docs/reasoning.md says what counts as that.
"""

import hashlib
import re

SIZE = 16
"""Bytes of a fingerprint."""

_READ = 8192
"""Characters of a message that are looked at: what some messages cost grows with each of them."""

_COMPARED = 4096
"""Characters of what is left of them that count: so far, what was masked has no length."""

_MONTH = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_CLOCK = r"\d{1,2}:\d\d:\d\d(?:[.,]\d+)?(?:\s?(?:z|utc|gmt|[+-]\d\d:?\d\d)\b)?"
_DATE = (
    r"\d{4}[-/]\d\d[-/]\d\d(?!\d)",
    r"\d{1,2}[./]\d{1,2}[./]\d{2,4}(?![\d.])",
    rf"\d{{1,2}}[ -]{_MONTH}[ -]\d{{2,4}}\b",
    rf"\b{_MONTH} \d{{1,2}}(?:,? \d{{4}})?(?![\d:])",
)
_REASON = (
    "bad|unauthori|payment|forbidden|not |method|conflict|gone|precondition|request |too many|"
    "unprocessable|internal|service|gateway|client error|server error"
)

_PLAIN = rf"(?<!\S)(?:(?!http|status|code|errno|sqlstate|signal|{_MONTH})[a-z]++[,.;:]*+ )++"
"""Words with nothing to mask in them: by far the most, and they are passed over in one go."""

_KEPT = (
    _PLAIN,
    # The code of an answer or of a process, and those of well-known tools, say what went wrong.
    r"\bhttp(?:/[\d.]+)?[ :=]+\d{3}\b",
    r"\bsqlstate[ :=(\[]{1,3}[0-9a-z]{5}\b",
    r"\b(?:status(?:[ _]?code)?|code|errno|signal)['\"]?[ :=#(]{1,3}\d{1,5}\b",
    rf"\b[45]\d\d(?= (?:{_REASON}))",
    r"\b(?:ora|pls|tns|sqlcode|ts|cs|err|aadsts|e|msb|nu|err_)-?\d{3,6}\b",
    r"\b(?=\d*[a-z])[0-9a-z]{5}(?=: error:)",
    # A quoted name: of a field, a column, a type, a module.
    r"(?<![\w'\"`])(?P<quote>['\"`])[a-z_]{1,40}(?P=quote)(?!\w)",
)
_MASKS = {
    "uuid": r"(?<![0-9a-f])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-f])",
    "url": r"\b[a-z][a-z0-9+.-]{1,20}://[^\s\"'<>)\]]+",
    "email": r"(?<![\w.+-])[\w.+-]++@[\w-]++(?:\.[\w-]++)+",
    "text": r"(?<!\w)(?:'[^'\n]{1,400}'|\"[^\"\n]{1,400}\"|`[^`\n]{1,400}`|“[^”\n]{1,400}”)(?!\w)",
    "time": rf"(?:{'|'.join(_DATE)})(?:(?:[t ]|, ){_CLOCK}|[t ]\d\d:\d\d\b)?|\b{_CLOCK}",
    "ip": r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?(?![\w.])"
    r"|(?<![\w:])\[?(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![\w:])\]?",
    "path": r"\b[a-z]:\\[^\s\"'<>|:]+"
    r"|(?<![\w./~<])[.~]{0,2}(?:/[\w.@+~%=-]++)+/?"
    r"|(?<![\w.@+~/-])(?:[\w.@+~-]++/)+[\w.@+~-]*+(?<=[\w-]\.[a-z0-9_]{2})\w*",
    "file": r"(?<![\w./-])[\w-]++(?:\.[\w-]++)*+(?<=\.(?:csv|log|txt|xml|zip|sql|pdf|tmp))",
    "hex": r"\b0x[0-9a-f]+\b|\b[a-f]{8,}\b",
    "number": r"(?<![\w.,-])[-+]?v?\d++(?:[.,_]\d++)*+(?:e[-+]?\d+)?[a-z%]{0,3}(?![\w-])",
}
_NAMED = r"(?<![\w-])(?P<prefix>(?:[a-z]{2,40}[-_])?)(?=(?:[^\W\d]|-)*+\d)[\w-]++"
"""A word with a digit in it is an identifier: only its first part, of letters alone, is kept."""

_PLACEHOLDERS = {"hex": "<n>", "number": "<n>", "file": "<path>"}
_VARYING = re.compile(
    "|".join(
        (
            f"(?P<kept>{'|'.join(_KEPT)})",
            *(f"(?P<{name}>{pattern})" for name, pattern in _MASKS.items()),
            f"(?P<named>{_NAMED})",
        )
    )
)
_COLOURS = re.compile(r"\x1b\[[0-9;]*[a-z]")
_REPEATED = re.compile(r"<n>(?:[,;\s]+<n>)+")


def fingerprint(message: str) -> bytes:
    """SIZE bytes, equal for messages that differ only in what varies from one time to the next."""
    return digest(masked(message))


def digest(text: str) -> bytes:
    """SIZE bytes, equal for equal texts only."""
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=SIZE).digest()


def masked(message: str) -> str:
    """`Row 17 of /tmp/a.csv: no "total"` as `row <n> of <path>: no "total"`: its beginning, where
    it is long."""
    plain = " ".join(_COLOURS.sub("", message[:_READ].casefold()).split())
    return _REPEATED.sub("<n>", _VARYING.sub(_mask, plain))[:_COMPARED]


def _mask(match: re.Match[str]) -> str:
    kind = match.lastgroup or ""
    if match["kept"] is not None:
        return match[0]
    if match["named"] is not None:
        return f"{match['prefix']}<n>"
    return _PLACEHOLDERS.get(kind, f"<{kind}>")
