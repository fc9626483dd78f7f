"""Random rows, and random filters that mean something on them, for hypothesis.

The values of both come from the same few awkward ones, so that comparisons hold often.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

PIECES = [*"aAzZ019 -_%*./,:()", "\\", "'", '"', "\n", "ß", "é", "e\u0301", "Σ", "ς", "İ", "\u0131"]
PIECES += [
    "я",
    "Я",
    "東",
    "🔥",
    "\U00010400",
    "\U00010428",
    "AND",
    " OR ",
    "null",
    "\uffff",
    "\x7f",
]

texts = st.lists(st.sampled_from(PIECES), max_size=4).map("".join)
ids = st.sampled_from(["", "r1", "r2", "a-b", "A", "%", "*", "NOT", "ö"])
keys = st.sampled_from(["env", "a.b", "", "*", "AND", "x y", "é", "'", '"', "\\"])
integers = st.sampled_from([0, 1, -1, 2, 42, -(2**63), 2**63 - 1, 2**31])
small_integers = st.sampled_from([0, 1, -1, 42, 2**31 - 1])
doubles = st.sampled_from([0.0, -0.0, 1.5, -1.5, 0.1, 1e300, 5e-324, 2.0])
states = st.sampled_from(["PENDING", "RESOLVED", "ARCHIVED", "UNSPECIFIED"])
moments = st.sampled_from(
    [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2025, 1, 1, tzinfo=UTC),
        datetime(2025, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ]
)
durations = st.sampled_from([0, 1, -1, 1_500_000, -1_500_000, 20_000_000]).map(
    lambda micros: timedelta(microseconds=micros)
)

rows = st.fixed_dictionaries(
    {"create_time": moments},
    optional={
        "state": states,
        "automation": ids,
        "run": ids,
        "group": ids,
        "message": texts,
        "description": texts,
        "count": integers,
        "score": small_integers,
        "ratio": st.one_of(doubles, st.just(float("nan"))),
        "active": st.booleans(),
        "location": st.fixed_dictionaries(
            {}, optional={"start_byte": integers, "end_byte": integers, "file": texts}
        ),
        "extra": st.dictionaries(keys, texts, max_size=3),
        "resolve_time": moments,
        "timeout": durations,
    },
)


def _escaped(text: str, wildcards: bool) -> str:
    """The text inside quotes, its stars as such or as wildcards."""
    for character, escape in {"\\": "\\\\", '"': '\\"', "'": "\\'", "\n": "\\n"}.items():
        text = text.replace(character, escape)
    return text if wildcards else text.replace("*", "\\*")


def _quoted(text: str, wildcards: bool = True) -> str:
    return f'"{_escaped(text, wildcards)}"'


@st.composite
def quoted_texts(draw: st.DrawFn) -> str:
    """A text in quotes, in which a star may be a wildcard."""
    text = _escaped(draw(texts), draw(st.booleans()))
    stars = draw(st.sampled_from(["{}", "{}", "*{}", "{}*", "*{}*", "{}**"]))
    return f'"{stars.format(text)}"' if draw(st.booleans()) else f"'{stars.format(text)}'"


def _timestamp(moment: datetime, style: int) -> str:
    text = moment.isoformat(timespec="microseconds").removesuffix("+00:00")
    zone = ["Z", "z", "+00:00", "-00:00", "5Z", "001Z"][style]
    return f"{text}{zone}"


def _duration(length: timedelta) -> str:
    micros = length // timedelta(microseconds=1)
    sign, micros = "-" * (micros < 0), abs(micros)
    return f"{sign}{micros // 10**6}.{micros % 10**6:06}s"


names = st.tuples(
    st.sampled_from(["{}", "{}", "organizations/o/workspaces/w/{c}/{}", "{c}/{}"]), ids
)
EQUALITY, ORDER = ["=", "!=", ":"], ["=", "!=", "<", "<=", ">", ">=", ":"]
TEXT = [*ORDER, " contains "]


def _name(collection: str) -> st.SearchStrategy[str]:
    def written(pair: tuple[str, str]) -> str:
        pattern, last = pair if pair[1] else ("{}", "")
        return _quoted(pattern.format(last, c=collection), wildcards=False)

    return names.map(written)


runs = (
    st.lists(ids.filter(bool), min_size=1, max_size=3)
    .map(" OR ".join)
    .map(lambda text: _quoted(text, wildcards=False))
)
number = integers.map(str)
timestamp = st.builds(_timestamp, moments, st.integers(0, 5)).flatmap(
    lambda text: st.sampled_from([text, f'"{text}"'])
)
key = keys.map(lambda text: _quoted(text, wildcards=True))
FIELDS: list[tuple[st.SearchStrategy[str], list[str], st.SearchStrategy[str]]] = [
    (st.just("state"), EQUALITY, states),
    (st.just("automation"), EQUALITY, _name("automations")),
    (st.just("group"), EQUALITY, _name("exceptionGroups")),
    (st.just("run"), EQUALITY, runs | _name("runs")),
    (st.just("message"), TEXT, quoted_texts()),
    (st.just("description"), TEXT, quoted_texts()),
    (st.just("count"), ORDER, number),
    (st.just("score"), ORDER, number),
    (st.just("ratio"), ORDER, doubles.map(repr)),
    (st.just("active"), EQUALITY, st.sampled_from(["true", "false"])),
    (st.just("location.start_byte"), ORDER, number),
    (st.just("location.file"), TEXT, quoted_texts()),
    (st.just("location"), [":"], st.sampled_from(["start_byte", "end_byte", "file"])),
    (st.just("extra"), [":"], key),
    (key.map(lambda text: f"extra.{text}"), TEXT, quoted_texts()),
    (st.just("create_time"), ORDER, timestamp),
    (st.just("resolve_time"), ORDER, timestamp),
    (st.just("timeout"), ORDER, durations.map(_duration)),
]
PRESENCE = st.sampled_from([field for field, *_ in FIELDS]).flatmap(lambda field: field)


@st.composite
def comparisons(draw: st.DrawFn) -> str:
    """One comparison; its right side may be a composite."""
    field, operators, value = draw(st.sampled_from(FIELDS))
    values = draw(st.lists(value, min_size=1, max_size=3))
    right = values[0]
    if len(values) > 1:
        right = draw(st.sampled_from([" OR ", " AND ", " "])).join(values)
        right = f"({right})"
    return f"{draw(field)}{draw(st.sampled_from(operators))}{right}"


terms = st.one_of(
    comparisons(), comparisons(), PRESENCE.map("{}:*".format), texts.filter(bool).map(_quoted)
)


def _nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    joined = st.tuples(
        st.sampled_from([" AND ", " OR ", " ", " and ", " or "]),
        st.lists(inner, min_size=2, max_size=4),
    ).map(lambda drawn: drawn[0].join(drawn[1]))
    negated = st.tuples(st.sampled_from(["NOT ", "-"]), inner).map("{0[0]}({0[1]})".format)
    return st.one_of(joined, joined.map("({})".format), negated)


filter_texts = st.recursive(terms, _nested, max_leaves=8)


def described(rows: list[dict[str, Any]]) -> str:
    """Rows as a failing test shows them."""
    return json.dumps(rows, default=str, ensure_ascii=False, indent=1)
