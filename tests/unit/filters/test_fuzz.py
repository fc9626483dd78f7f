"""Whatever the text, it is accepted, or refused by one of the two errors, quickly and shortly."""

import os
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import filters
from tests.filters_cases import random_filters, things

SOAK = bool(os.environ.get("KINTSUGI_SOAK"))
EXAMPLES = 50_000 if SOAK else 150
MESSAGE = things.message(things.rows()[0])
TOKENS = [
    *"()\"'=<>!:.,-*\\&|[]{} \t\n0aé",
    *(" AND ", " OR ", "NOT ", " and ", " or ", "not ", " contains ", "!=", "<=", ">=", "\\u"),
    *("state", "PENDING", "extra", "location", "start_byte", "create_time", "message", "run"),
    *("2025-01-01T00:00:00Z", "1.5s", "-30", "1e3", "true", '"x"', "'y'", "\\u0041", "\ud800"),
]

compile_anew = filters.compile_sql.__wrapped__

pytestmark = pytest.mark.timeout(3600 if SOAK else 120)

texts = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from(TOKENS), max_size=30).map("".join),
    st.text(st.characters(exclude_categories=()), max_size=20).map("message = {}".format),
)


def compile_both(text):
    compile_anew(text, things.SCHEMA)
    filters.compile_predicate(text, things.SCHEMA)(MESSAGE)


def check(text):
    error = refusal(lambda: compile_both(text))
    assert error is None or 0 <= error.offset <= len(text)
    assert any(seconds(text) < 0.05 for _ in range(3))


def seconds(text):
    begun = time.thread_time()
    refusal(lambda: compile_both(text))
    return time.thread_time() - begun


def refusal(compiling):
    """The error, if there is one; it must be fit to be sent."""
    error = None
    try:
        compiling()
    except filters.FilterError as raised:
        error = raised
    assert error is None or (error.message and len(str(error).encode()) < 600)
    assert error is None or len(str(error)) < 300
    return error


@settings(max_examples=EXAMPLES, deadline=None)
@given(texts)
@example("")
@example("a contains contains")
@example("a\ud800")
def test_any_text_is_answered(text):
    check(text)


@settings(max_examples=EXAMPLES, deadline=None)
@given(random_filters.filter_texts, st.data())
def test_a_filter_with_a_piece_changed_is_answered(text, data):
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(start + 3, len(text))))
    check(text[:start] + data.draw(st.sampled_from(TOKENS)) + text[end:])


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.sampled_from([*"count, desc\t", "count", "create_time", " desc"])).map("".join))
def test_any_order_is_answered(text):
    refusal(lambda: filters.parse_order_by(text, things.SCHEMA))
