"""Guide entries over gRPC, on a real database: versions, approval, deletion, drafts."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import psycopg
import pytest
from google.rpc import error_details_pb2
from kintsugi.v1 import exception_pb2
from kintsugi.v1 import guide_entry_pb2 as pb
from kintsugi.v1 import guide_entry_service_pb2 as service

from filters import Schema, compile_sql
from server.resources.document import DOCUMENT
from server.resources.guide_entry import FILTERS, REVISION_FILTERS
from server.store.statements import Choice, Key, Statements
from server.store.tables import guide_entries
from tests.integration.client import WORKSPACE, Client, detail, reason, violations

AUTOMATION = f"{WORKSPACE}/automations/billing"
PENDING = pb.GuideEntry.STATE_PENDING_APPROVAL
APPROVED = pb.GuideEntry.STATE_APPROVED
REJECTED = pb.GuideEntry.STATE_REJECTED
ARCHIVED = pb.GuideEntry.STATE_ARCHIVED


class Guides:
    """The guide entry service in the words of these tests."""

    def __init__(self, client: Client) -> None:
        self.stub = client.guide_entries

    def create(self, automation: str = AUTOMATION, request_id: str = "", **fields: Any) -> Any:
        entry = pb.GuideEntry(**({"title": "No total"} | fields))
        return self.stub.CreateGuideEntry(
            service.CreateGuideEntryRequest(
                parent=automation, guide_entry=entry, request_id=request_id
            )
        )

    def get(self, name: str) -> Any:
        return self.stub.GetGuideEntry(service.GetGuideEntryRequest(name=name))

    def list(self, parent: str = AUTOMATION, **parameters: Any) -> Any:
        request = service.ListGuideEntriesRequest(parent=parent, **parameters)
        return self.stub.ListGuideEntries(request)

    def update(self, name: str, *mask: str, request_id: str = "", **fields: Any) -> Any:
        request = service.UpdateGuideEntryRequest(
            guide_entry=pb.GuideEntry(name=name, **fields), request_id=request_id
        )
        request.update_mask.paths.extend(mask)
        return self.stub.UpdateGuideEntry(request)

    def revisions(self, name: str, **parameters: Any) -> Any:
        request = service.ListGuideEntryRevisionsRequest(name=name, **parameters)
        return self.stub.ListGuideEntryRevisions(request)

    def act(self, verb: str, name: str, **fields: Any) -> Any:
        request = getattr(service, f"{verb}GuideEntryRequest")(name=name, **fields)
        return getattr(self.stub, f"{verb}GuideEntry")(request)


@pytest.fixture(scope="module")
def guides(shared_client: Client) -> Guides:
    return Guides(shared_client)


@pytest.fixture
def own_guides(client: Client) -> Guides:
    """Of a server that has no other ones."""
    return Guides(client)


def standing(entry: pb.GuideEntry) -> tuple[int, str, str]:
    return entry.state, entry.version, entry.approved_version


def shown(answer: Any) -> list[tuple[str, int]]:
    return [(entry.version, entry.state) for entry in answer.guide_entries]


# One


def test_a_new_entry_says_what_was_given_and_waits_for_approval(guides: Guides) -> None:
    run = f"{AUTOMATION}/runs/run-1"
    texts = {
        "title": "No total",
        "root_cause": "The export leaves it out.",
        "resolution_steps": "Add it.",
        "resolution_code": "row[2] = '99.50'",
        "resolution_notes": "Ask accounting.",
        "content": "Once upon a time.",
    }
    made = guides.create(**texts, source_exception=f"{WORKSPACE}/exceptions/0193", source_run=run)
    assert guides.get(made.name) == made
    assert made.name.startswith(f"{AUTOMATION}/guideEntries/")
    assert made.automation == AUTOMATION
    assert {field: getattr(made, field) for field in texts} == texts
    assert (made.source_exception, made.source_run) == (f"{WORKSPACE}/exceptions/0193", run)
    assert standing(made) == (PENDING, "0.1", "")
    assert made.create_time == made.update_time
    assert not made.HasField("delete_time")
    assert made.etag


def test_an_incomplete_entry_is_accepted_and_leaves_out_what_it_has_not(guides: Guides) -> None:
    made = guides.create(title="")
    for field in ("title", "root_cause", "resolution_steps", "resolution_code"):
        assert not made.HasField(field)
    assert standing(made) == (PENDING, "0.1", "")


def test_an_id_alone_finds_an_entry_of_any_automation(guides: Guides) -> None:
    made = guides.create()
    id = made.name.rpartition("/")[2]
    assert guides.get(f"{WORKSPACE}/automations/-/guideEntries/{id}") == made


def test_an_entry_is_not_found_under_another_automation(guides: Guides) -> None:
    id = guides.create().name.rpartition("/")[2]
    for name in (
        f"{WORKSPACE}/automations/other/guideEntries/{id}",
        f"{AUTOMATION}/guideEntries/none",
        f"{WORKSPACE}/automations/-/guideEntries/none",
        f"organizations/local/workspaces/none/automations/a/guideEntries/{id}",
    ):
        with pytest.raises(grpc.RpcError) as error:
            guides.get(name)
        assert reason(error.value) == "RESOURCE_NOT_FOUND"
        with pytest.raises(grpc.RpcError) as error:
            guides.revisions(name)
        assert error.value.code() in (
            grpc.StatusCode.NOT_FOUND,
            grpc.StatusCode.INVALID_ARGUMENT,
        )


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"source_exception": "organizations/local/workspaces/x/exceptions/1"}, "source_exception"),
        ({"source_run": f"{WORKSPACE}/automations/other/runs/1"}, "source_run"),
        ({"source_run": "run-1"}, "source_run"),
        ({"title": "x" * 513}, "title"),
        ({"resolution_steps": "x" * 65_537}, "resolution_steps"),
    ],
)
def test_what_is_wrong_with_a_new_entry_is_named(
    guides: Guides, fields: dict[str, str], wrong: str
) -> None:
    with pytest.raises(grpc.RpcError) as error:
        guides.create(**fields)
    assert list(violations(error.value)) == [f"guide_entry.{wrong}"]


def test_nothing_is_created_for_any_automation_or_an_unknown_workspace(guides: Guides) -> None:
    with pytest.raises(grpc.RpcError) as error:
        guides.create(f"{WORKSPACE}/automations/-")
    assert list(violations(error.value)) == ["parent"]
    with pytest.raises(grpc.RpcError) as error:
        guides.create("organizations/local/workspaces/none/automations/billing")
    assert reason(error.value) == "RESOURCE_NOT_FOUND"


# Versions


def test_approval_is_the_next_major_version_and_an_update_the_next_minor(guides: Guides) -> None:
    name = guides.create(resolution_steps="Add it.").name
    assert standing(guides.act("Approve", name)) == (APPROVED, "1.0", "1.0")
    changed = guides.update(name, resolution_steps="Add it, then run again.")
    assert standing(changed) == (PENDING, "1.1", "1.0")
    assert standing(guides.update(name, title="A total is missing")) == (PENDING, "1.2", "1.0")
    assert standing(guides.act("Reject", name)) == (REJECTED, "1.2", "1.0")
    assert standing(guides.update(name, title="No total")) == (PENDING, "1.3", "1.0")
    approved = guides.act("Approve", name)
    assert standing(approved) == (APPROVED, "2.0", "2.0")
    assert guides.get(name) == approved


def test_old_versions_stay_readable(guides: Guides) -> None:
    made = guides.create(resolution_steps="one")
    name = made.name
    guides.act("Approve", name)
    guides.update(name, resolution_steps="two")
    rejected = guides.act("Reject", name)
    guides.update(name, resolution_steps="three")
    answer = guides.revisions(name)
    assert shown(answer) == [
        ("1.2", PENDING),
        ("1.1", REJECTED),
        ("1.0", APPROVED),
        ("0.1", PENDING),
    ]
    steps = [each.resolution_steps for each in answer.guide_entries]
    assert steps == ["three", "two", "one", "one"]
    assert [each.approved_version for each in answer.guide_entries] == ["1.0", "1.0", "1.0", ""]
    assert {each.name for each in answer.guide_entries} == {name}
    assert answer.guide_entries[1].update_time == rejected.update_time
    assert {each.create_time.ToNanoseconds() for each in answer.guide_entries} == {
        made.create_time.ToNanoseconds()
    }
    assert answer.total_size == 4


def test_an_id_alone_finds_the_versions_of_an_entry(guides: Guides) -> None:
    name = guides.create().name
    anywhere = name.replace("/automations/billing/", "/automations/-/")
    assert guides.revisions(anywhere) == guides.revisions(name)
    with pytest.raises(grpc.RpcError) as error:
        guides.revisions(name.replace("/automations/billing/", "/automations/another/"))
    assert error.value.code() is grpc.StatusCode.NOT_FOUND


def test_versions_are_listed_by_number_and_in_pages(guides: Guides) -> None:
    name = guides.create().name
    for number in range(11):
        guides.update(name, title=str(number))
    seen, token = [], ""
    while True:
        page = guides.revisions(name, page_size=5, page_token=token)
        assert page.total_size == 12
        seen += [entry.version for entry in page.guide_entries]
        token = page.next_page_token
        if not token:
            break
    assert seen == [f"0.{minor}" for minor in range(12, 0, -1)]


def test_one_version_can_be_asked_for(guides: Guides) -> None:
    name = guides.create(resolution_steps="one").name
    guides.act("Approve", name)
    guides.update(name, resolution_steps="two")
    assert shown(guides.revisions(name, filter='version = "1.0"')) == [("1.0", APPROVED)]
    assert shown(guides.revisions(name, filter="state = PENDING_APPROVAL")) == [
        ("1.1", PENDING),
        ("0.1", PENDING),
    ]


def test_an_update_that_changes_nothing_is_no_version(guides: Guides) -> None:
    name = guides.create(title="No total").name
    approved = guides.act("Approve", name)
    assert guides.update(name, title="No total") == approved
    assert guides.update(name, "title", title="No total", request_id=str(uuid.uuid4())) == approved
    assert len(guides.revisions(name).guide_entries) == 2


def test_an_update_changes_what_its_mask_says(guides: Guides) -> None:
    name = guides.create(root_cause="unknown", resolution_notes="none").name
    changed = guides.update(name, "title", "root_cause", title="A", resolution_notes="ignored")
    assert (changed.title, changed.resolution_notes) == ("A", "none")
    assert not changed.HasField("root_cause")
    cleared = guides.update(name, "*", resolution_steps="all new")
    assert cleared.resolution_steps == "all new"
    assert not cleared.HasField("title")
    for path in ("source_run", "nonsense"):
        with pytest.raises(grpc.RpcError) as error:
            guides.update(name, path, title="B")
        assert list(violations(error.value)) == ["update_mask"]
    assert guides.update(name, "state", "title", "version", "etag", title="C").title == "C"


# Transitions


def refuses(guides: Guides, verb: str, name: str) -> None:
    with pytest.raises(grpc.RpcError) as error:
        guides.act(verb, name)
    assert error.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert reason(error.value) == "ILLEGAL_TRANSITION"
    [violation] = detail(error.value, error_details_pb2.PreconditionFailure).violations
    assert violation.subject == name


def test_only_what_is_pending_can_be_approved_or_rejected(guides: Guides) -> None:
    name = guides.create().name
    for verb in ("Reject", "Approve"):
        if verb == "Approve":
            guides.update(name, title="changed")
        guides.act(verb, name)
        refuses(guides, "Approve", name)
        refuses(guides, "Reject", name)
    refuses(guides, "Undelete", name)


@pytest.mark.parametrize("before", ["pending", "approved", "rejected", "pending again"])
def test_a_deleted_entry_comes_back_to_where_it_was(guides: Guides, before: str) -> None:
    name = guides.create().name
    if before == "rejected":
        guides.act("Reject", name)
    elif before != "pending":
        guides.act("Approve", name)
    if before == "pending again":
        guides.update(name, title="changed")
    was = guides.get(name)
    deleted = guides.act("Delete", name)
    assert deleted.state == ARCHIVED
    assert deleted.delete_time == deleted.update_time
    assert (deleted.version, deleted.approved_version) == (was.version, was.approved_version)
    assert guides.get(name) == deleted
    for verb in ("Delete", "Approve", "Reject"):
        refuses(guides, verb, name)
    with pytest.raises(grpc.RpcError) as error:
        guides.update(name, title="other")
    assert reason(error.value) == "ILLEGAL_TRANSITION"
    back = guides.act("Undelete", name)
    assert standing(back) == standing(was)
    assert not back.HasField("delete_time")
    assert guides.get(name) == back


def test_deleting_and_undeleting_is_no_version(guides: Guides) -> None:
    name = guides.create().name
    guides.act("Delete", name)
    assert shown(guides.revisions(name)) == [("0.1", PENDING)]
    guides.act("Undelete", name)
    assert shown(guides.revisions(name)) == [("0.1", PENDING)]


@pytest.mark.parametrize("verb", ["Approve", "Reject", "Delete", "Undelete"])
def test_a_stale_etag_changes_nothing(guides: Guides, verb: str) -> None:
    made = guides.create()
    if verb == "Undelete":
        guides.act("Delete", made.name)
    else:
        guides.update(made.name, title="changed meanwhile")
    with pytest.raises(grpc.RpcError) as error:
        guides.act(verb, made.name, etag=made.etag)
    assert error.value.code() is grpc.StatusCode.ABORTED
    now = guides.get(made.name)
    assert detail(error.value, error_details_pb2.ErrorInfo).metadata["etag"] == now.etag
    assert guides.act(verb, made.name, etag=now.etag).etag != now.etag


def test_every_mutation_can_be_repeated(own_guides: Guides) -> None:
    ids = {verb: str(uuid.uuid4()) for verb in ("create", "update", "Approve", "Delete")}
    made = own_guides.create(request_id=ids["create"], title="first")
    assert own_guides.create(request_id=ids["create"], title="first") == made
    with pytest.raises(grpc.RpcError) as error:
        own_guides.create(request_id=ids["create"], title="second")
    assert reason(error.value) == "REQUEST_ID_REUSED"
    name = made.name
    changed = own_guides.update(name, title="x", request_id=ids["update"])
    assert own_guides.update(name, title="x", request_id=ids["update"]) == changed
    approved = own_guides.act("Approve", name, request_id=ids["Approve"])
    assert own_guides.act("Approve", name, request_id=ids["Approve"]) == approved
    deleted = own_guides.act("Delete", name, request_id=ids["Delete"])
    assert own_guides.act("Delete", name, request_id=ids["Delete"]) == deleted
    assert len(own_guides.list(show_deleted=True).guide_entries) == 1


# Lists


def test_deleted_entries_are_listed_only_where_that_is_asked_for(own_guides: Guides) -> None:
    kept, deleted = own_guides.create(), own_guides.create()
    own_guides.act("Delete", deleted.name)
    answer = own_guides.list()
    assert [each.name for each in answer.guide_entries] == [kept.name]
    assert answer.total_size == 1
    every = own_guides.list(show_deleted=True)
    assert [each.name for each in every.guide_entries] == [deleted.name, kept.name]
    assert every.total_size == 2
    archived = own_guides.list(show_deleted=True, filter="state = ARCHIVED")
    assert [each.name for each in archived.guide_entries] == [deleted.name]
    assert not own_guides.list(filter="state = ARCHIVED").guide_entries


def test_all_automations_list_together_and_each_by_itself(own_guides: Guides) -> None:
    automations = [f"{WORKSPACE}/automations/{name}" for name in ("a", "b", "c")]
    made = [own_guides.create(automation) for automation in automations]
    for automation, entry in zip(automations, made, strict=True):
        assert list(own_guides.list(automation).guide_entries) == [entry]
    every = own_guides.list(f"{WORKSPACE}/automations/-")
    assert list(every.guide_entries) == made[::-1]
    assert not own_guides.list(f"{WORKSPACE}/automations/d").guide_entries
    two = own_guides.list(f"{WORKSPACE}/automations/-", filter="automation = a or automation = c")
    assert list(two.guide_entries) == [made[2], made[0]]
    whole = f'automation = "{automations[1]}"'
    assert (
        list(own_guides.list(f"{WORKSPACE}/automations/-", filter=whole).guide_entries) == made[1:2]
    )
    assert not own_guides.list(automations[0], filter="automation = b").guide_entries


@pytest.mark.parametrize("order", ["", "automation", "title desc, create_time", "update_time"])
def test_pages_over_all_automations_have_each_entry_once(own_guides: Guides, order: str) -> None:
    names = {
        own_guides.create(f"{WORKSPACE}/automations/{n % 3}", title=str(n % 2)).name
        for n in range(7)
    }
    seen, token = [], ""
    while True:
        page = own_guides.list(
            f"{WORKSPACE}/automations/-", page_size=2, page_token=token, order_by=order
        )
        seen += [entry.name for entry in page.guide_entries]
        token = page.next_page_token
        if not token:
            break
    assert len(seen) == 7
    assert set(seen) == names


def test_a_page_token_belongs_to_its_parent_and_to_show_deleted(guides: Guides) -> None:
    for _ in range(2):
        guides.create()
    token = guides.list(page_size=1).next_page_token
    for parent, parameters in (
        (f"{WORKSPACE}/automations/-", {}),
        (AUTOMATION, {"show_deleted": True}),
    ):
        with pytest.raises(grpc.RpcError) as error:
            guides.list(parent, page_token=token, **parameters)
        assert reason(error.value) == "PAGE_TOKEN_INVALID"


def test_an_unknown_workspace_has_no_list(guides: Guides) -> None:
    for id in ("-", "billing"):
        with pytest.raises(grpc.RpcError) as error:
            guides.list(f"organizations/local/workspaces/none/automations/{id}")
        assert reason(error.value) == "RESOURCE_NOT_FOUND"


@pytest.fixture(scope="module")
def four(start_shared: Callable[[], Client]) -> Guides:
    return Guides(start_shared())


@pytest.fixture(scope="module")
def labels(four: Guides) -> dict[str, str]:
    """Four entries of four automations, by what tells them apart: names to labels."""

    def create(automation: str, **fields: str) -> str:
        return str(four.create(f"{WORKSPACE}/automations/{automation}", **fields).name)

    run = f"{WORKSPACE}/automations/one/runs/run-1"
    names = {
        "steps": create(
            "one", title="My Guide Entry", resolution_steps="Please RESTART", source_run=run
        ),
        "code": create("two", title="", resolution_code="for _ in retry():"),
        "notes": create("three", resolution_notes="100%_sure", root_cause="a full disk"),
        "old": create("four", content="old text"),
    }
    four.act("Approve", names["code"])
    four.update(names["code"], title="changed")
    four.act("Reject", names["notes"])
    return {name: label for label, name in names.items()}


EVERY = {"steps", "code", "notes", "old"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("title contains 'my guide'", {"steps"}),
        ("title:guide", {"steps"}),
        ('title = "No total"', {"notes", "old"}),
        ("resolution_steps contains 'restart'", {"steps"}),
        ("resolution_code contains 'retry'", {"code"}),
        ("resolution_notes contains '%_'", {"notes"}),
        ("resolution_notes:*", {"notes"}),
        ("NOT resolution_notes:*", EVERY - {"notes"}),
        ("root_cause:disk", {"notes"}),
        ("content contains 'old'", {"old"}),
        ("disk", {"notes"}),
        ("automation = one", {"steps"}),
        ("automation = one or automation = two", {"steps", "code"}),
        ("state = REJECTED", {"notes"}),
        ("state = STATE_PENDING_APPROVAL", EVERY - {"notes"}),
        ('version = "0.1"', EVERY - {"code"}),
        ("version = 1.1", {"code"}),
        ('version != "1.1"', EVERY - {"code"}),
        ('approved_version = "1.0"', {"code"}),
        ('approved_version = ""', EVERY - {"code"}),
        ("source_run = run-1", {"steps"}),
        (f'source_run = "{WORKSPACE}/automations/one/runs/run-1"', {"steps"}),
        (f'source_run = "{WORKSPACE}/automations/two/runs/run-1"', set()),
        ('source_exception = ""', EVERY),
        ('create_time > "2025-01-01T00:00:00Z"', EVERY),
        ('update_time < "2025-02-01T00:00:00Z"', set()),
    ],
)
def test_a_filter_lists_just_what_matches(
    four: Guides, labels: dict[str, str], text: str, expected: set[str]
) -> None:
    answer = four.list(f"{WORKSPACE}/automations/-", filter=text)
    assert {labels[each.name] for each in answer.guide_entries} == expected
    assert answer.total_size == len(expected)


@pytest.mark.parametrize("text", ['version > "1.0"', "version contains '1'", "nonsense = 1"])
def test_a_filter_that_means_nothing_is_refused(guides: Guides, text: str) -> None:
    with pytest.raises(grpc.RpcError) as error:
        guides.list(filter=text)
    assert reason(error.value) == "FILTER_TYPE"


# Drafts


def thread(client: Client, run: str) -> list[str]:
    page = client.list_events(f"{run}/agents/kai")
    return [event.system_message.content for event in reversed(page.events)]


def drafts(guides: Guides, exception: exception_pb2.Exception) -> list[Any]:
    return list(guides.list(exception.automation).guide_entries)


def raise_one(client: Client, **fields: Any) -> Any:
    """An exception of an automation of its own."""
    run = f"{WORKSPACE}/automations/{uuid.uuid4().hex}/runs/1"
    return client.raise_one(**({"run": run} | fields))


def test_a_resolution_note_drafts_a_guide_entry_and_says_so(
    shared_client: Client, guides: Guides
) -> None:
    raised = raise_one(shared_client, message="\nKeyError: 'total'\n  in row 3")
    shared_client.resolve(raised.name, resolution_note="Added the total.")
    [entry] = drafts(guides, raised)
    assert standing(entry) == (PENDING, "0.1", "")
    assert entry.title == "KeyError: 'total'"
    assert entry.resolution_steps == "Added the total."
    assert (entry.source_exception, entry.source_run) == (raised.name, raised.run)
    assert thread(shared_client, raised.run)[1:] == [
        "Resolved by users/local: `Added the total.`",
        f"Drafted the guide entry `{entry.name}`.",
    ]
    assert shown(guides.revisions(entry.name)) == [("0.1", PENDING)]


def test_a_long_message_makes_a_short_title(shared_client: Client, guides: Guides) -> None:
    raised = raise_one(shared_client, message="\U0001f4a5" * 400)
    shared_client.resolve(raised.name, resolution_note="n")
    [entry] = drafts(guides, raised)
    assert entry.title == "\U0001f4a5" * 119 + "…"


@pytest.mark.parametrize("note", ["", "  \n"])
def test_nothing_is_drafted_without_a_note(
    shared_client: Client, guides: Guides, note: str
) -> None:
    raised = raise_one(shared_client)
    shared_client.resolve(raised.name, resolution_note=note)
    assert not drafts(guides, raised)


@pytest.mark.parametrize(
    ("verbs", "count"),
    [((), 1), (("Approve",), 1), (("Reject",), 2), (("Delete",), 1), (("Approve", "Delete"), 1)],
)
def test_what_is_known_already_is_not_drafted_again(
    shared_client: Client, guides: Guides, verbs: tuple[str, ...], count: int
) -> None:
    first = raise_one(shared_client)
    shared_client.resolve(first.name, resolution_note="Add it.")
    [entry] = drafts(guides, first)
    for verb in verbs:
        guides.act(verb, entry.name)
    second = shared_client.raise_one(run=f"{first.automation}/runs/2")
    shared_client.resolve(second.name, resolution_note="Add it.")
    assert len(drafts(guides, first)) == count
    drafted = any("Drafted" in text for text in thread(shared_client, second.run))
    assert drafted is bool({"Reject", "Delete"} & set(verbs))
    elsewhere = raise_one(shared_client)
    shared_client.resolve(elsewhere.name, resolution_note="Add it.")
    assert len(drafts(guides, elsewhere)) == 1


def test_a_repeated_resolve_drafts_once(shared_client: Client, guides: Guides) -> None:
    raised, request_id = raise_one(shared_client), str(uuid.uuid4())
    first = shared_client.resolve(raised.name, resolution_note="n", request_id=request_id)
    assert shared_client.resolve(raised.name, resolution_note="n", request_id=request_id) == first
    assert len(drafts(guides, raised)) == 1


def test_a_resolve_that_fails_drafts_nothing(shared_client: Client, guides: Guides) -> None:
    raised = raise_one(shared_client)
    shared_client.archive(raised.name)
    with pytest.raises(grpc.RpcError):
        shared_client.resolve(raised.name, resolution_note="n")
    assert not drafts(guides, raised)


# Speed, and the manual


NEWEST = (Key("create_time", descending=True), Key("id", descending=True))


@pytest.fixture(scope="module")
def many(new_database: Callable[[], str]) -> Iterator[psycopg.Connection]:
    """Of a database with 20,000 entries."""
    with psycopg.connect(new_database()) as connection:
        connection.execute(
            """
            INSERT INTO guide_entries (workspace, id, automation, title, content, root_cause,
              resolution_steps, resolution_code, resolution_notes, source_exception, source_run,
              state, major, minor)
            SELECT uid, 'g' || n, 'a' || n % 100, 'number ' || n || ' of all',
              'text ' || n || ' of all', 'cause ' || n || ' of all',
              'step ' || n || repeat(' and so on', 100),
              'code ' || n || ' of all', 'note ' || n || ' of all', '', '', 1, 0, 1
            FROM workspaces, generate_series(1, 20000) n
            """
        )
        connection.execute("ANALYZE guide_entries")
        yield connection


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("title contains 'number 4711 '", "guide_entries_title_trgm"),
        ("resolution_steps contains 'step 4711 '", "guide_entries_resolution_steps_trgm"),
        ("resolution_code contains 'code 4711 '", "guide_entries_resolution_code_trgm"),
        ("resolution_notes contains 'note 4711 '", "guide_entries_resolution_notes_trgm"),
        ("root_cause contains 'cause 4711 '", "guide_entries_root_cause_trgm"),
        ("content contains 'text 4711 '", "guide_entries_content_trgm"),
        ("nobody_said_this", "guide_entries_root_cause_trgm"),
        ("automation = a77", "guide_entries_automation"),
        ('create_time > "2999-01-01T00:00:00Z"', "guide_entries_newest"),
    ],
)
def test_an_index_serves_the_filter(many: psycopg.Connection, text: str, index: str) -> None:
    statements = Statements(guide_entries, ("id",), scope=("workspace",), workspace="workspace")
    query = statements.first_page(Choice(compile_sql(text, FILTERS).where, NEWEST))
    [(workspace,)] = many.execute("SELECT uid FROM workspaces").fetchall()
    parent = f"{WORKSPACE}/automations/-"
    bounds = {"scope_0": workspace, "parent": parent, "limit": 51, "skip": 0}
    cursor = psycopg.RawCursor(many)
    plan = cursor.execute(b"EXPLAIN " + query.text, query.parameters(bounds)).fetchall()
    assert index in str(plan), plan


@pytest.mark.parametrize("schema", [FILTERS, REVISION_FILTERS])
def test_the_manual_names_every_field_of_the_filters(schema: Schema) -> None:
    manual = (DOCUMENT.parents[1] / "proto/kintsugi/v1/guide_entry_service.proto").read_text()
    assert [path for path in schema.fields() if f"`{path}`" not in manual] == []
