"""What audit entries say: types, masked secrets, and hashes that depend on everything."""

import hashlib
import json

import pytest

from server.domain.audit import GENESIS, entry_type, link, masked


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


@pytest.mark.parametrize(
    "key",
    [
        *("password", "DB_PASSWORD", "client_secret", "token", "accessToken", "Authorization"),
        *("api_key", "ApiKey", "api-key", "set-cookie", "credentials", "private_key"),
        *("pwd", "auth", "basic_auth", "Bearer", "ssh-key", "passcode"),
    ],
)
@pytest.mark.parametrize("value", ["hunter2", ["hunter2"], {"value": "hunter2"}])
def test_what_stands_under_a_secret_key_is_masked(key, value):
    text = masked(json.dumps({"extra": [{key: value, "host": "worker-3"}]}))
    assert json.loads(text) == {"extra": [{key: "***", "host": "worker-3"}]}


@pytest.mark.parametrize(
    "fields",
    [
        {"total_prompt_tokens": 812, "token": "", "secret": None, "is_secret": True},
        {"message": "the password is wrong", "key": "invoice-7", "keyboard": "de"},
        {"author": "users/ada", "authority": "Rome"},
    ],
)
def test_numbers_and_other_texts_stand(fields):
    assert json.loads(masked(json.dumps(fields))) == fields


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
