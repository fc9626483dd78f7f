"""The key set of an identity provider that comes and goes, changes, and takes its time."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from server.operations.key_set import KeySet, KeysUnreadable
from tests.integration.waiting import until
from tests.provider import Provider, new_rsa


@pytest.fixture
def provider() -> Iterator[Provider]:
    with closing(Provider()) as started:
        yield started


def test_what_is_known_is_not_asked_for_again(provider: Provider) -> None:
    keys = KeySet(provider.url, pause=0)
    assert all(keys.find("rsa") for _ in range(10))
    assert provider.asked == 1


def test_a_key_that_is_not_known_is_looked_for(provider: Provider) -> None:
    keys = KeySet(provider.url, pause=0)
    provider.keys = {"next": new_rsa()}
    assert keys.find("next") is not None
    assert keys.find("rsa") is None


def test_but_not_again_and_again(provider: Provider) -> None:
    keys = KeySet(provider.url, pause=3600)
    provider.keys = {"next": new_rsa()}
    assert keys.find("next") is None
    assert provider.asked == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": [1]}',
        b'{"keys": [{"kty": "RSA", "kid": "k"}]}',
        b'{"keys": [{"kty": "RSA", "kid": "k", "alg": []}]}',
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_known_keys_outlive_an_answer_that_is_none(provider: Provider, answer: bytes) -> None:
    keys = KeySet(provider.url, pause=0)
    provider.answers = answer
    assert keys.find("next") is None
    assert keys.find("rsa") is not None


def test_a_provider_that_hangs_holds_up_one_caller_only(provider: Provider) -> None:
    keys = KeySet(provider.url, pause=0)
    provider.answering.clear()
    first = threading.Thread(target=keys.find, args=["first"])
    first.start()
    until(lambda: provider.asked == 2)
    assert keys.find("rsa") is not None
    assert keys.find("second") is None
    assert first.is_alive()
    assert provider.asked == 2
    first.join(10)
    assert not first.is_alive()


def test_a_key_for_something_else_is_no_key(provider: Provider, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(provider.key_set().replace(b'"use": "sig"', b'"use": "enc"', 1))
    keys = KeySet(str(file))
    assert keys.find("rsa") is None
    assert keys.find("ec") is not None


def test_plain_http_is_not_trusted_on_a_network(provider: Provider) -> None:
    with pytest.raises(KeysUnreadable, match="must be https"):
        KeySet(provider.url.replace("127.0.0.1", "login.example"))
