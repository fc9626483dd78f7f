"""The SQL of what a workspace knows about a failure: how often, where, what helped, what did not.

Each answers within milliseconds, however much there is: it looks at what an index leads to, up to a
bound. What is made of it is said in `sessions/reasoners/`.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Interval,
    LargeBinary,
    Select,
    Text,
    bindparam,
    case,
    cast,
    exists,
    func,
    literal_column,
    not_,
    or_,
    select,
    union,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP, UUID, array

from server.store.query import Query
from server.store.statements import read_columns
from server.store.tables import (
    actions,
    agent_sessions,
    exceptions,
    guide_entries,
    guide_entry_revisions,
)

COUNTED = 10_000
"""Counting a pattern stops here; beyond it the count is only a lower bound."""

BUSIEST = 1_000
"""The same of a single hour."""

DAYS = 7
"""How many days before are compared with."""

RECENT = 200
"""How many exceptions of a pattern, or of an automation, are looked at: the newest."""

OWN_GUIDES, OTHER_GUIDES = 200, 100
"""How many guide entries are ranked, of the automation and of the others: the newest."""

LONGEST_TEXT = 2_000
"""Characters of each text that are read."""

_RESOLVED: ColumnElement[int] = literal_column("2", Integer)
"""EXCEPTION_STATE_RESOLVED."""

_EMPTY: ColumnElement[str] = literal_column("''")
_WORKSPACE = bindparam("workspace", type_=UUID(as_uuid=False))
_FINGERPRINT = bindparam("fingerprint", type_=LargeBinary)
_AUTOMATION = bindparam("automation", type_=Text)
_SUBJECT = bindparam("exception", type_=Text)
_AT = bindparam("at", type_=TIMESTAMP(timezone=True))

_c = exceptions.c
_LIKE = (_c.workspace == _WORKSPACE, _c.fingerprint == _FINGERPRINT)
_OF_PATTERN = (*_LIKE, _c.id != _SUBJECT)


def _statistics() -> Query:
    # Of one value in the whole statement: else each hour would be looked for row by row.
    at = func.coalesce(cast(_AT, TIMESTAMP(timezone=True)), func.statement_timestamp())
    first = select(_c.create_time).where(*_LIKE).order_by(_c.create_time).limit(1).subquery()
    since = select(*read_columns(first, ["create_time"])).scalar_subquery()
    # The subject itself is left out by subtraction: its id isn't in the index.
    itself = _number(_LIKE, _c.id == _SUBJECT, most=1)
    hours = [_number(_LIKE, *_hour(at, day), most=BUSIEST) for day in range(DAYS + 1)]
    return Query(
        select(
            _number(_LIKE, most=COUNTED + 1) - itself,
            since,
            hours[0] - itself,
            array(hours[1:]),
        )
    )


def _hour(at: ColumnElement[Any], days_before: int) -> tuple[ColumnElement[bool], ...]:
    end = at - literal_column(f"interval '{days_before} days'", Interval)
    return _c.create_time > end - literal_column(
        "interval '1 hour'", Interval
    ), _c.create_time <= end


def _number(
    like: Sequence[ColumnElement[bool]], *further: ColumnElement[bool], most: int
) -> ColumnElement[int]:
    counted = select(literal_column("1", Integer)).where(*like, *further).limit(most).subquery()
    return select(func.count()).select_from(counted).scalar_subquery()


STATISTICS = _statistics()
"""Of the `workspace` and `fingerprint`, `at` a time, or now if that is None, without `exception`:

how many there are, since when in microseconds since 1970 (with it, None if there are none), how
many in the hour before, and in the same hour of each of DAYS days before that.
"""


def _newest(*matching: ColumnElement[bool]) -> Select[Any]:
    """The newest ones that match, by what is asked of them further."""
    return (
        select(exceptions)
        .where(*matching)
        .order_by(_c.create_time.desc(), _c.id.desc())
        .limit(RECENT)
    )


def _by_people(resolved: Any) -> ColumnElement[bool]:
    """Whether a person wrote a resolution's note: in an agent's stands what was said to its
    session, or what the service itself makes of the actions."""
    s = agent_sessions.c
    said = exists().where(
        s.workspace == _WORKSPACE,
        s.exception == resolved.id,
        s.note == resolved.resolution_note,
    )
    return or_(not_(resolved.resolver.startswith("agents/")), said)


def _of_pattern() -> Query:
    recent = _newest(*_OF_PATTERN).subquery()
    r = recent.c
    note = case((_by_people(r), func.left(r.resolution_note, LONGEST_TEXT)), else_=_EMPTY)
    return Query(
        select(r.id, r.automation, r.state, r.resolution_guide_entry, r.resolver, note).order_by(
            r.create_time.desc(), r.id.desc()
        )
    )


OF_PATTERN = _of_pattern()
"""The newest others of the pattern: id, automation, state, guide entry, resolver, people's note."""


def _tried() -> Query:
    recent = _newest(*_OF_PATTERN).subquery()
    a = actions.c
    tried = select(a.guide_entry, a.action_type, a.state, func.count()).where(
        a.workspace == _WORKSPACE, a.exception == recent.c.id, a.guide_entry != _EMPTY
    )
    return Query(tried.group_by(a.guide_entry, a.action_type, a.state))


TRIED = _tried()
"""What was done about these: guide entry, action type, state of the action, how often."""


def _past(*matching: ColumnElement[bool]) -> Query:
    recent = _newest(_c.workspace == _WORKSPACE, *matching, _c.id != _SUBJECT).subquery()
    r = recent.c
    message, note = (func.left(column, LONGEST_TEXT) for column in (r.message, r.resolution_note))
    resolved = select(r.id, message, note).where(
        r.state == _RESOLVED,
        r.resolution_note != _EMPTY,
        _by_people(r),
        r.fingerprint.is_distinct_from(_FINGERPRINT),
    )
    return Query(resolved.order_by(r.create_time.desc(), r.id.desc()))


PAST = _past(_c.automation == _AUTOMATION)
"""Resolved ones of the `automation`, but for those of the pattern: id, message, people's note."""

PAST_ANYWHERE = _past()
"""The same of the workspace."""

GUIDE_TEXTS = ("title", "root_cause", "resolution_steps", "resolution_notes", "content")

_GUIDE_COLUMNS = (
    *("action_type", "action_parameters", "action_risk", "self_resolving"),
    *("connector", "connector_revision"),
)


def _guides() -> Query:
    """Each in the version in use, whatever its newest says."""
    e, r = guide_entries.c, guide_entry_revisions.c
    newest = (e.create_time.desc(), e.id.desc())
    in_use = (e.workspace == _WORKSPACE, not_(e.deleted), e.approved > literal_column("0"))
    same = select(e.id).where(*in_use, e.fingerprint == _FINGERPRINT).order_by(*newest)
    own = select(e.id).where(*in_use, e.automation == _AUTOMATION).order_by(*newest)
    others = select(e.id).where(*in_use).order_by(*newest)
    bounded = ((same, OWN_GUIDES), (own, OWN_GUIDES), (others, OTHER_GUIDES))
    chosen = union(*(some.limit(most).subquery().select() for some, most in bounded))
    texts = [func.left(r[name], LONGEST_TEXT) for name in GUIDE_TEXTS]
    is_same = func.coalesce(e.fingerprint == _FINGERPRINT, literal_column("false"))
    return Query(
        select(e.id, e.automation, is_same, *texts, *(r[name] for name in _GUIDE_COLUMNS))
        .select_from(guide_entries)
        .join(
            guide_entry_revisions,
            (r.workspace == e.workspace)
            & (r.id == e.id)
            & (r.major == e.approved)
            & (r.minor == literal_column("0")),
        )
        .where(*in_use, e.id.in_(chosen))
        .order_by(*newest)
    )


GUIDES = _guides()
"""Entries in use: id, automation, whether of the pattern, texts, action, parameters, risk, whether
self-resolving, the connector that was seen then and its revision; newest first."""
