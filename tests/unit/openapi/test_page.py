"""The reference page: whole, linked within itself, and nothing from elsewhere."""

import json
import re

import pytest

from openapi.page import page
from server.launch import files

DOCUMENT = json.loads(files.path("openapi.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def html():
    return files.path("reference.html").read_text(encoding="utf-8")


def test_the_page_is_made_of_the_document(html):
    assert page(DOCUMENT) == html


def test_every_operation_and_schema_has_its_place(html):
    named = re.findall(r'<article id="(\w+)">', html)
    operations = [o["operationId"] for verbs in DOCUMENT["paths"].values() for o in verbs.values()]
    assert sorted(named) == sorted([*operations, *DOCUMENT["components"]["schemas"]])


def test_every_link_leads_somewhere(html):
    ids = set(re.findall(r'id="([^"]+)"', html))
    for link in re.findall(r'(?:href|src)="([^"]*)"', html):
        assert link in ("openapi.json", "data:,") or link.removeprefix("#") in ids, link


def test_what_people_wrote_is_never_taken_for_html():
    document = json.loads(json.dumps(DOCUMENT).replace("Raises an exception", "<script>x"))
    assert "<script" not in page(document)
