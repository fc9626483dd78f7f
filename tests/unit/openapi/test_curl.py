"""The calls that the reference page shows can be typed as they are."""

import json

import pytest

from openapi.curl import lines
from server.launch import files

DOCUMENT = json.loads(files.path("openapi.json").read_text(encoding="utf-8"))
CALLS = {
    operation["operationId"]: (path, verb, operation)
    for path, verbs in DOCUMENT["paths"].items()
    for verb, operation in verbs.items()
}


@pytest.mark.parametrize("name", CALLS)
def test_every_call_brings_the_token(name):
    typed = lines(*CALLS[name])
    assert typed.count('-H "authorization: Bearer $KINTSUGI_TOKEN"') == typed.count("curl -s") > 0


@pytest.mark.parametrize("name", CALLS)
def test_curl_is_told_the_verb_that_it_would_not_choose_itself(name):
    _, verb, operation = CALLS[name]
    chosen = "post" if "requestBody" in operation else "get"
    assert (f" -X {verb.upper()} " in lines(*CALLS[name])) == (verb != chosen)
