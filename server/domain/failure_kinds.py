"""The kinds of failure that messages of well-known tools tell of, and what each means.

Which guide helps is found elsewhere; this is what is said of a failure that nobody knows yet.
"""

import re
from typing import NamedTuple

_WINDOW = 2048
"""Characters at either end of a message that are looked at: what matters stands there."""


class FailureKind(NamedTuple):
    """`label` is for programs, `meaning` a sentence for people, `group` the exception group;
    `pattern` is of a message in lower case: to ignore case takes longer."""

    label: str
    meaning: str
    group: str
    pattern: re.Pattern[str]


def _kind(label: str, group: str, meaning: str, *patterns: str) -> FailureKind:
    return FailureKind(label, meaning, group, re.compile("|".join(patterns).lower()))


_SYSTEM, _VALUES, _INTERNAL = "user_system_error", "missing_values", "internal_error"

_KINDS = (
    _kind(
        "out_of_memory",
        _INTERNAL,
        "The automation used more memory than it may have.",
        r"\bOOM ?Killed|out of memory|OutOfMemoryError|\bMemoryError\b|cannot allocate memory",
        r"exit (?:code|status)?:? ?137\b|heap space|heap limit|bad_alloc",
    ),
    _kind(
        "disk_full",
        _INTERNAL,
        "The disk that the automation writes to is full.",
        r"no space left on device|\bENOSPC\b|disk (?:is )?full|disk quota exceeded",
    ),
    _kind(
        "rate_limited",
        _SYSTEM,
        "A system was asked too often, and refuses to answer for a while.",
        r"\b429\b|too many requests|rate.?limit|throttl|quota.{0,20}exceeded|TooManyRequests",
        r"toomanyrequests|request limit",
    ),
    _kind(
        "certificate",
        _SYSTEM,
        "The certificate of a system isn't trusted or is out of date.",
        r"certificate|\bx509\b|SSLHandshake|ssl(?:error|: )|tls handshake|PKIX",
    ),
    _kind(
        "unknown_host",
        _SYSTEM,
        "The name of a system could not be found in the network.",
        r"could not resolve host|name or service not known|getaddrinfo|\bENOTFOUND|UnknownHost",
        r"no such host|name resolution|NXDOMAIN|EAI_AGAIN|nodename nor servname",
    ),
    _kind(
        "lock_conflict",
        _SYSTEM,
        "Something else was at work on the same data.",
        r"deadlock|lock (?:wait )?timeout|could not (?:obtain|serialize)|database is locked",
        r"lock(?:ed)? by|state lock|index\.lock|could not get lock",
    ),
    _kind(
        "timeout",
        _SYSTEM,
        "A system took too long to answer.",
        r"time[d]?.?out|deadline.?exceeded|ETIMEDOUT|\b504\b|TimeoutException|took too long",
    ),
    _kind(
        "unauthenticated",
        _SYSTEM,
        "A system did not accept the credentials of the automation.",
        r"\b401\b|unauthori[sz]ed|unauthenticated|authentication",
        r"invalid (?:api.?key|credentials|token)",
        r"expired ?token|token.{0,20}expired|login (?:failed|incorrect)|logon|bad credentials",
        r"invalid_grant|could not read username|no basic auth",
    ),
    _kind(
        "forbidden",
        _SYSTEM,
        "The automation isn't allowed to do what it tried.",
        r"\b403\b|forbidden|permission.{0,3}denied|access.?(?:is )?denied|not authori[sz]ed",
        r"EACCES",
        r"insufficient (?:privilege|permission)|must be owner|no authorization|\bEPERM\b",
    ),
    _kind(
        "declined",
        _SYSTEM,
        "A payment was declined.",
        r"card.{0,20}declined|insufficient.?funds|do not honou?r",
        r"payment.{0,30}(?:declined|failed)",
        r"expired card|card_error",
    ),
    _kind(
        "unreachable",
        _SYSTEM,
        "A system could not be reached.",
        r"connection (?:refused|reset|aborted|closed)|ECONNREFUSED|ECONNRESET|unreachable",
        r"no route",
        r"could not connect|failed to connect|server closed the connection|broken pipe",
        r"socket hang",
        r"remote end closed|terminating connection|communications link|cannot connect",
    ),
    _kind(
        "unavailable",
        _SYSTEM,
        "A system answered that it doesn't work at the moment.",
        r"\b50[0235]\b|service unavailable|bad gateway|internal server error|server error",
        r"maintenance|overloaded|too many (?:clients|connections)|remaining connection slots",
    ),
    _kind(
        "duplicate",
        _SYSTEM,
        "What was to be made is there already.",
        r"duplicate|already exists|unique constraint|\b409\b|UniqueViolation|has already been",
    ),
    _kind(
        "schema",
        _INTERNAL,
        "The automation and a database no longer agree about tables and columns.",
        r"(?:relation|table|column|schema|index).{0,80} (?:does not|doesn't) exist",
        r"no such (?:table|column)",
        r"unknown column|invalid column|invalid object name|ORA-0090[24]|ORA-00942",
    ),
    _kind(
        "missing_value",
        _VALUES,
        "A value that was needed was missing.",
        r"\bKeyError\b|\bnot.?null|null value|NullPointer",
        r"\bis (?:required|mandatory|missing|empty)\b",
        r"missing (?:required|mandatory|value|field|column|key|argument|parameter|header)",
        r"NoneType|cannot read propert|undefined is not",
        r"required (?:field|property|column|parameter)",
        r"must not be (?:null|empty|blank)|may not be blank|cannot be (?:null|empty|blank)",
        r"no value for|not specified|field required|blank",
    ),
    _kind(
        "missing_file",
        _VALUES,
        "A file that was needed wasn't there.",
        r"no such file|FileNotFound|NoSuchKey|NoSuchFile|\bENOENT\b",
        r"file.{0,80} (?:not found|does not exist)",
        r"cannot find the (?:file|path)|specified key does not exist",
    ),
    _kind(
        "missing_package",
        _INTERNAL,
        "A program or a package that the automation needs isn't installed.",
        r"ModuleNotFound|No module named|cannot find module|command not found|ClassNotFound",
        r"NoClassDef",
        r"ERESOLVE|could not find a version|no matching distribution",
        r"manifest.{0,60}(?:unknown|not found)",
        r"ImagePull|ErrImage|pull access denied|package .{0,60} not found",
    ),
    _kind(
        "not_found",
        _VALUES,
        "Something that the automation asked for isn't there.",
        r"\b404\b|not found|does not exist|no such|could not be found|NoSuch\w+",
        r"unknown (?:customer|account)",
    ),
    _kind(
        "bad_value",
        _VALUES,
        "A value wasn't what it has to be.",
        r"ValueError|invalid (?:literal|value|input|format|date|number|syntax for|byte)|parse",
        r"out of range",
        r"could not convert|cannot be cast|cannot convert|mismatch|malformed|\bcodec\b|encoding",
        r"truncat",
        r"\b400\b|\b422\b|unprocessable|validation|violates|expected .{1,60} (?:got|but|found)",
        r"too long",
        r"NumberFormat|JSONDecode|unexpected (?:token|end|character)|overflow|division by zero",
    ),
    _kind(
        "program_error",
        _INTERNAL,
        "The automation itself is at fault.",
        r"SyntaxError|IndentationError|TypeError|AttributeError|NameError|IndexError",
        r"AssertionError",
        r"assertion|segmentation fault|core dumped|panic|ReferenceError|ClassCast|StackOverflow",
        r"RecursionError|IllegalState|IllegalArgument|not implemented|UnboundLocal|ImportError",
        r"stack level too deep|CrashLoopBackOff",
    ),
)

_TYPE = re.compile(r"\b([A-Z]\w*(?:Error|Exception|Warning|Failure))\b(?!\()")
_HTTP = re.compile(r"\b(?:HTTP(?:/[\d.]+)?|status(?:[ _]code)?)\D{0,4}([1-5]\d\d)\b", re.IGNORECASE)
_CAUSE = re.compile(r"^[ \t]*Caused by: (.+)$", re.MULTILINE)
_TRACEBACK = "Traceback (most recent call last)"
_INDENTED = (" ", "\t")


def kind_of(message: str) -> FailureKind | None:
    """The first kind whose words stand in the message's headline, or else around it."""
    for text in dict.fromkeys((headline(message).lower(), ends(message).lower())):
        for kind in _KINDS:
            if kind.pattern.search(text):
                return kind
    return None


def error_type(message: str) -> str:
    """`KeyError`, `PSQLException`; empty where the message names none."""
    found = _TYPE.findall(headline(message)) or _TYPE.findall(ends(message))
    return found[-1] if found else ""


def http_status(message: str) -> str:
    """`502`; empty where the message names none."""
    found = _HTTP.search(ends(message))
    return found[1] if found else ""


def headline(message: str) -> str:
    """The line that says what went wrong.

    Of a Python traceback the last, of a Java one the innermost cause, else the first with anything.
    """
    text = ends(message)
    if causes := _CAUSE.findall(text):
        return str(causes[-1]).strip()
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        return ""
    if _TRACEBACK in text:
        outer = [line for line in lines if not line.startswith(_INDENTED)]
        return outer[-1].strip() if outer else lines[-1].strip()
    return lines[0].strip()


def ends(message: str) -> str:
    """The message, or of a long one its beginning and its end."""
    if len(message) <= 2 * _WINDOW:
        return message
    return f"{message[:_WINDOW]}\n{message[-_WINDOW:]}"
