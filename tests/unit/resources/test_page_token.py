"""Page tokens: what goes in comes out, and nothing else does."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.errors import PageTokenInvalid
from server.resources.page_token import PageToken, decode, encode, order_values
from server.store.tables import exceptions

tokens = st.builds(
    PageToken,
    st.tuples(st.integers(-(2**63), 2**63 - 1), st.text(st.characters(codec="utf-8"))),
    st.integers(0, 1_000_000),
    st.booleans(),
)


@given(tokens, st.binary())
def test_a_token_is_read_as_it_was_made(token: PageToken, binding: bytes) -> None:
    assert decode(encode(token, binding), binding) == token


@given(tokens, st.binary(), st.binary())
def test_a_token_is_worth_nothing_to_another_list(
    token: PageToken, binding: bytes, other: bytes
) -> None:
    if binding != other:
        with pytest.raises(PageTokenInvalid):
            decode(encode(token, binding), other)


@given(tokens, st.data())
def test_a_changed_token_is_refused(token: PageToken, data: st.DataObject) -> None:
    text = encode(token, b"")
    at = data.draw(st.integers(0, len(text) - 2))
    put = data.draw(st.sampled_from("Aa0-_=%ä "))
    if text[at] != put:
        with pytest.raises(PageTokenInvalid):
            decode(text[:at] + put + text[at + 1 :], b"")


@given(st.text())
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(PageTokenInvalid):
        decode(text, b"")


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b"\xff", b"[[], 1, 2]"])
def test_a_made_up_token_is_refused_whatever_is_in_it(body: bytes) -> None:
    """The checksum has no key: anybody can make one that is right."""
    made = hashlib.sha256(b"\0" + body).digest()[:12] + body
    with pytest.raises(PageTokenInvalid):
        decode(base64.urlsafe_b64encode(made).decode().rstrip("="), b"")


@pytest.mark.parametrize(
    "after",
    [
        (),
        (1,),
        ("x", "y"),
        (10**30, "a"),
        (10**18, "a"),
        (None, None),
        (True, []),
        (1, "a\0"),
        (1.5, "a"),
    ],
)
def test_a_made_up_place_is_refused(after: tuple[object, ...]) -> None:
    with pytest.raises(PageTokenInvalid):
        order_values(after, [exceptions.c.create_time, exceptions.c.id])


@pytest.mark.parametrize(
    ("column", "value"), [("number", 2**40), ("state", 70_000), ("state", True), ("run", "\ud800")]
)
def test_a_key_that_its_column_cannot_hold_is_refused(column: str, value: object) -> None:
    with pytest.raises(PageTokenInvalid):
        order_values((value,), [exceptions.c[column]])


@pytest.mark.parametrize("total", [-1, 10**12, None, "1"])
def test_a_made_up_total_is_refused(total: object) -> None:
    made_up = encode(PageToken((1, "a"), total, is_lower_bound=False), b"")  # type: ignore[arg-type]
    with pytest.raises(PageTokenInvalid):
        decode(made_up, b"")
