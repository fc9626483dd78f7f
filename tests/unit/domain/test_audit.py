"""What audit entries say: types, masked secrets, and hashes that depend on everything."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from server.domain.audit import GENESIS, entry_type, link, masked

DOCS = (Path(__file__).parents[3] / "docs/audit.md").read_text()


@pytest.mark.parametrize(
    ("method", "collection", "is_new", "type"),
    [
        ("ExceptionService/CreateException", "exceptions", True, "exception.create"),
        ("ExceptionService/CreateException", "exceptions", False, "exception.create"),
        ("ExceptionService/BatchCreateExceptions", "exceptions", True, "exception.create"),
        ("ExceptionService/ResolveException", "exceptions", False, "exception.resolve"),
        ("ExceptionService/BulkResolveExceptions", "exceptions", False, "exception.resolve"),
        ("ExceptionService/ResolveException", "guideEntries", True, "guideEntry.create"),
        ("GuideEntryService/ApproveGuideEntry", "guideEntries", False, "guideEntry.approve"),
        ("EventService/CancelGeneration", "agents", False, "generation.cancel"),
        ("AgentSessionService/ExecuteAgentSession", "actions", False, "agentSession.execute"),
        ("", "exceptions", True, "exception.create"),
        ("", "exceptions", False, "exception.update"),
    ],
)
def test_the_type_is_the_resource_and_the_verb(method, collection, is_new, type):
    path = f"/kintsugi.v1.{method}" if method else ""
    assert entry_type(path, collection, is_new=is_new) == type


def named(begin: str, end: str) -> list[str]:
    """The words that docs/audit.md has in code between two markers."""
    return re.findall(r"`([^`]+)`", DOCS.partition(f"<!-- {begin} -->")[2].partition(end)[0])


MASKED = named("masked", "<!-- shown -->")
SHOWN = named("shown", "<!-- end -->")


@pytest.mark.parametrize(
    "key",
    [
        *MASKED,
        *("password", "DB_PASSWORD", "client_secret", "token", "accessToken", "Authorization"),
        *("api_key", "ApiKey", "api-key", "set-cookie", "credentials", "private_key"),
        *("pwd", "basic_auth", "Bearer", "ssh-key", "passcode", "api key", "apikey"),
        *(
            "smtp_pass",
            "dbpass",
            "card_pin",
            "page_token_secret",
            "facebook_page_token",
            'the "x" token',
        ),
    ],
)
@pytest.mark.parametrize("value", ["hunter2", ["hunter2"], {"value": "hunter2"}, 12345])
def test_what_stands_under_a_secret_key_is_masked(key, value):
    text = masked(json.dumps({"extra": [{key: value, "host": "worker-3"}]}))
    assert json.loads(text) == {"extra": [{key: "***", "host": "worker-3"}]}


@pytest.mark.parametrize("key", [*SHOWN, "nextPageToken", "totalTokens", "shipping", "keyboard"])
@pytest.mark.parametrize("value", ["812", ["812"], {"prompt": 812}, 812])
def test_what_only_sounds_like_a_secret_stands(key, value):
    text = json.dumps({"extra": [{key: value}]})
    assert json.loads(masked(text)) == json.loads(text)


@pytest.mark.parametrize(
    "fields",
    [
        {"total_prompt_tokens": 812, "token": "", "secret": None, "is_secret": True},
        {"prompt_token_count": 812, "tokens": 3, "auth_attempts": 2, "secret_version": 4},
        {"message": "the password is wrong", "key": "invoice-7", "keyboard": "de"},
        {"author": "users/ada", "authority": "Rome"},
        {"message": 'the "password": "x" is wrong', "path": "C:\\"},
    ],
)
def test_numbers_and_other_texts_stand(fields):
    assert json.loads(masked(json.dumps(fields))) == fields


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://ada:hunter2@host/x", "https://ada:***@host/x"),
        ("at postgres://:p%40@db:5432/a,", "at postgres://:***@db:5432/a,"),
        ('curl "amqp://a:b:c@h" "ftp://d:e@i"', 'curl "amqp://a:***@h" "ftp://d:***@i"'),
        ("https://host:8080/users/ada@acme.com", None),
        ("http://a:80\nada@acme.com", None),
        ("https://ada@host", None),
        ("Bearer xyz", "Bearer ***"),
        (f"used kin_{'a-_B' * 12} ok\nkin_{'a1B2' * 12}", "used *** ok\n***"),
        ("akin_to_something, kin_dred", None),
        ("-H 'authorization:\nbearer eyJ.a-b_c='", "-H 'authorization:\nbearer ***'"),
        ("Basic YWRhOmh1bnRlcjI=", "Basic ***"),
        ("Basic information of the bearer token", None),
        ('WWW-Authenticate: Basic realm="x", Bearer realm="y"', None),
        ("GET /in?a=1&access_token=ab=c&b=2", "GET /in?a=1&access_token=***&b=2"),
        ("jdbc:x;user=ada;password=hunter2;", "jdbc:x;user=ada;password=***;"),
        ("job --api-key=\"a b\" PGPASSWORD='x'", "job --api-key=\"*** b\" PGPASSWORD='***'"),
        (
            "pin=1234, tokens=512 page_token=x author=ada",
            "pin=***, tokens=512 page_token=x author=ada",
        ),
        ("password= , a==b, the token = x", None),
        ("a\npin=0000\tauth=x\npassword=" + "1" * 10_000, "a\npin=***\tauth=***\npassword=***"),
        ("spin=1 a\nspin=2", None),
        ("jwt\neyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.abc-_9, eyJ.a.b", "jwt\n***, eyJ.a.b"),
    ],
)
def test_credentials_in_a_text_are_masked(text, shown):
    given = json.dumps({"message": [text]})
    assert json.loads(masked(given)) == {"message": [shown or text]}


@pytest.mark.parametrize(
    "text", ["key://:", "token", "eyJ", "eyJabcdefgh.", "a=", "kin_", "kin_a.", "bearer ", "x://:"]
)
def test_a_long_text_is_looked_at_once(text):
    """A million hints: what looks at the rest of the text from each of them never ends."""
    given = json.dumps({"message": text * 1_000_000 + "="})
    assert json.loads(masked(given))


def test_a_name_may_have_quotes():
    assert json.loads(masked(json.dumps({'the "secret" one': "x"}))) == {'the "secret" one': "***"}


def test_what_has_no_secrets_stays_the_very_text():
    text = '{"a": 1.0,  "ü": "x"}'
    assert masked(text) is text
    assert masked(None) is None


def test_the_hash_is_that_of_the_hash_before_and_the_content():
    content = ["w", 1, "exception.create", None, "ü"]
    text = '["w",1,"exception.create",null,"\\u00fc"]'
    assert link(GENESIS, content) == hashlib.sha256(bytes(32) + text.encode()).digest()


def test_texts_that_run_into_each_other_have_other_hashes():
    contents = [["ab", "c"], ["a", "bc"], ["a", "b", "c"], ["abc"], [None], ["null"], [""]]
    assert len({link(GENESIS, content) for content in contents}) == len(contents)
    assert link(link(GENESIS, ["a"]), ["b"]) != link(GENESIS, ["b"])
