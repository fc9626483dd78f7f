"""What callers without a good token cost: as good as no look at the database."""

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from kintsugi.v1.member_pb2 import ROLE_VIEWER

from server.domain.access_tokens import new_token
from server.domain.errors import CredentialsInvalid
from server.operations.authentication import Authenticator
from server.operations.refused_tokens import RefusedTokens
from server.store.access import CALLER
from server.store.connection import Database
from server.store.notifier import Notifier
from server.store.store import Store
from tests.identity import TOKEN
from tests.integration.client import Client
from tests.integration.test_access import make_token, revoke


class Counting(Database):
    """Counts how often a token is looked up."""

    looked_up = 0

    def all(self, query, parameters):
        self.looked_up += query is CALLER
        return super().all(query, parameters)


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    counting = Counting(database, connections=1)
    with closing(counting), closing(Notifier(database)) as notifier:
        yield Store(counting, notifier)


def refusal(callers: Authenticator, token: str) -> CredentialsInvalid:
    with pytest.raises(CredentialsInvalid) as raised:
        callers.caller(token)
    return raised.value


@pytest.mark.parametrize(
    "damage",
    [
        lambda token: token[:-1] + ("A" if token[-1] != "A" else "B"),
        lambda token: token[:-9],
        lambda token: token.replace("kin_", "kin_x"),
        lambda token: token.removeprefix("kin_"),
        lambda _: "kin_",
        lambda _: "",
    ],
)
def test_a_token_with_a_wrong_checksum_is_never_looked_up(
    store: Store, damage: Callable[[str], str]
) -> None:
    assert "damaged" in str(refusal(Authenticator(store), damage(TOKEN)))
    assert store.database.looked_up == 0


def test_a_token_that_is_not_known_is_looked_up_once(store: Store) -> None:
    callers, unknown = Authenticator(store), new_token()
    told = {str(refusal(callers, unknown)) for _ in range(100)}
    assert told == {"the access token is not known here"}
    assert store.database.looked_up == 1
    refusal(callers, new_token())
    assert store.database.looked_up == 2


def test_a_revoked_token_is_looked_up_once_and_still_known_by_whose_it_was(
    store: Store, client: Client
) -> None:
    made = make_token(client, ROLE_VIEWER)
    revoke(client, made.access_token.name)
    callers = Authenticator(store)
    found = [refusal(callers, made.token) for _ in range(100)]
    assert {(str(each), each.principal) for each in found} == {
        ("the access token was revoked", "users/local")
    }
    assert {each.workspace for each in found} == {"organizations/local/workspaces/default"}
    assert store.database.looked_up == 1


def test_a_new_token_is_good_at_once_in_every_process_that_refuses_others(
    store: Store, client: Client
) -> None:
    processes = [Authenticator(store) for _ in range(3)]
    for callers in processes:
        refusal(callers, new_token())
    made = make_token(client, ROLE_VIEWER)
    for callers in processes:
        assert callers.caller(made.token).token == made.access_token.name.rpartition("/")[2]


def test_what_was_refused_is_looked_up_again_after_a_while(store: Store) -> None:
    callers, unknown = Authenticator(store), new_token()
    callers._refused = RefusedTokens(seconds=0)
    refusal(callers, unknown)
    refusal(callers, unknown)
    assert store.database.looked_up == 2


def test_only_so_many_are_remembered() -> None:
    refused = RefusedTokens(seconds=60, most=3)
    for number in range(10):
        refused.add(bytes([number]), ("is not known here",))
    assert len(refused) == 3
    assert [number for number in range(10) if refused.find(bytes([number]))] == [7, 8, 9]
