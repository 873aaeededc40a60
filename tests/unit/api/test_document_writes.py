"""Writing documents: what is submitted, and what is refused before it is."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from headwater.access.tokens import decode_token
from schemas.codec import decode, encode
from schemas.events import AuditRecorded, DocumentSubmitted, Lane
from schemas.events.directory import DirectoryKind, Source
from schemas.events.documents import NOBODY, SubmissionOp
from schemas.ids import KnowledgeBaseId, SourceId, TenantId, document_id
from tests.support.api import ACME, FakeApi
from tests.support.document_writes import EVERYONE, PAGE, item, only_submission, path_of, post_batch, put


async def test_put_submits_the_full_state_with_the_content_in_the_blob_store(api: FakeApi) -> None:
    body = PAGE | {
        "attributes": {"status": "draft", "year": 2024, "seen": {"time": "2026-01-01T00:00:00Z"}, "tags": ["a", "b"]},
        "links": [{"relation": "parent", "target": "page 0"}],
        "source_version": 7,
        "lane": "backfill",
    }
    response = await put(api, await api.key("ada"), body)
    assert response.status_code == 202
    wish = only_submission(api)
    assert wish.document_id == response.json()["document_id"] == document_id(ACME, SourceId("wiki"), "page 1")
    assert (wish.op, wish.lane, wish.source_version, wish.external_id) == (
        SubmissionOp.PUT,
        Lane.BACKFILL,
        7,
        "page 1",
    )
    assert wish.actor == "user:ada"
    assert wish.state is not None
    assert wish.state.content is not None
    assert api.blobs.blobs[ACME, wish.state.content.sha256] == b"Some text."
    assert wish.state.attributes["tags"] == ("a", "b")
    assert wish.state.attributes["seen"].isoformat() == "2026-01-01T00:00:00+00:00"  # type: ignore[union-attr]  # a time
    assert wish.state.knowledge_base == "handbook"
    token = decode_token(response.json()["token"])
    assert token == {"rag.documents.submitted": {0: 0}}


async def test_a_write_is_audited_with_who_and_from_where(api: FakeApi) -> None:
    await put(api, await api.key("ada"))
    (audit,) = api.log.sent(AuditRecorded)
    assert isinstance(audit, AuditRecorded)
    assert (audit.actor, audit.action, audit.client_address) == ("user:ada", "documents.put", "192.0.2.7")
    assert audit.resource == f"documents/{only_submission(api).document_id}"


async def test_a_document_without_access_is_for_nobody(api: FakeApi) -> None:
    await put(api, await api.key(), {"title": "Page", "text": "x"})
    state = only_submission(api).state
    assert state is not None
    assert state.access == NOBODY


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"acess": EVERYONE}, "acess"),
        ({"access": {"clauses": [{"principals": ["ada"]}]}}, "access.clauses[0]"),
        ({"access": {"clauses": [{"principal": ["everyone"]}]}}, "access.clauses[0].principals"),
        ({"title": ""}, "title"),
        ({"attributes": {"with space": 1}}, "attributes.with space.[key]"),
        ({"knowledge_base": "nowhere"}, "knowledge_base"),
        ({"retain_until": "2026-01-01T00:00:00"}, "retain_until"),
        ({"url": "javascript:alert(1)"}, "url"),
        ({"url": " Java\tScript:alert(1)"}, "url"),
        ({"links": [{"relation": "see", "target": "data:text/html,hello"}]}, "links[0].target"),
    ],
)
async def test_a_wrong_field_is_named_and_nothing_is_submitted(
    api: FakeApi, change: Mapping[str, Any], field: str
) -> None:
    response = await put(api, await api.key(), {**PAGE, **change})
    assert (response.status_code, response.json()["field"]) == (422, field)
    assert api.log.events == []


@pytest.mark.parametrize(
    ("written", "field"),
    [
        ('"attributes": {"a": 1e999}', "attributes.a"),
        ('"attributes": {"a": [1, NaN]}', "attributes.a"),
        (f'"attributes": {{"a": {2**63}}}', "attributes.a"),
        ('"attributes": {"a": {"time": "0001-01-01T00:00:00+14:00"}}', "attributes.a"),
        (f'"attributes": {json.dumps({f"a{n}": n for n in range(129)})}', "attributes"),
        ('"occurred_at": "9999-12-31T23:59:59-14:00"', "occurred_at"),
        ('"retain_until": "0001-01-01T00:00:00+14:00"', "retain_until"),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_what_no_event_or_store_can_carry_is_refused_at_once(
    api: FakeApi, method: str, written: str, field: str
) -> None:
    page = "" if method == "PATCH" else json.dumps(PAGE)[1:-1] + ","
    headers = {**await api.key(), "Content-Type": "application/json"}
    response = await api.client.request(method, path_of(), content=f"{{{page}{written}}}", headers=headers)
    assert (response.status_code, response.json()["field"]) == (422, field)
    assert api.log.events == []


async def test_the_ends_of_what_can_be_carried_are_taken(api: FakeApi) -> None:
    edges = {"least": -(2**63), "most": 2**63 - 1, "large": 1.7e308, "first": {"time": "0001-01-01T00:00:00Z"}}
    response = await put(api, await api.key(), {**PAGE, "attributes": edges})
    assert response.status_code == 202
    assert decode(encode(only_submission(api)), DocumentSubmitted) == only_submission(api)


async def test_an_external_id_that_is_no_base64url_is_named(api: FakeApi) -> None:
    response = await api.client.put("/v1/documents/wiki/a+b", json=PAGE, headers=await api.key())
    assert (response.status_code, response.json()["field"]) == (422, "external_id")


async def test_only_api_sources_are_written_here(api: FakeApi) -> None:
    headers = await api.key()
    folder = Source(name="Folder", kind="filesystem", knowledge_base=KnowledgeBaseId("handbook"))
    await api.put(DirectoryKind.SOURCE, "folder", folder)
    refused = await api.client.put(path_of(source="folder"), json=PAGE, headers=headers)
    assert (refused.status_code, refused.json()["field"]) == (409, "source")
    unknown = await api.client.put(path_of(source="none"), json=PAGE, headers=headers)
    assert (unknown.status_code, unknown.json()["field"]) == (404, "source")
    assert api.log.events == []


class TestPreconditions:
    """If-Match and If-None-Match."""

    async def test_a_matching_revision_goes_on_to_admission(self, api: FakeApi) -> None:
        headers = await api.key()
        await put(api, headers)
        response = await put(api, headers | {"If-Match": '"1"'})
        assert response.status_code == 202
        last = api.log.sent(DocumentSubmitted)[-1]
        assert isinstance(last, DocumentSubmitted)
        assert last.expected_revision == 1

    @pytest.mark.parametrize(
        ("method", "suffix", "body"),
        [
            ("PUT", "", PAGE),
            ("PATCH", "", {"title": "New"}),
            ("PUT", "/access", EVERYONE),
            ("DELETE", "", None),
        ],
        ids=["put", "patch", "access", "delete"],
    )
    async def test_another_revision_is_refused_with_the_current_one(
        self, api: FakeApi, method: str, suffix: str, body: dict[str, Any] | None
    ) -> None:
        headers = await api.key()
        await put(api, headers)
        response = await api.client.request(method, path_of() + suffix, json=body, headers=headers | {"If-Match": "7"})
        assert (response.status_code, response.json()["code"]) == (412, "revision_mismatch")
        assert "is 1" in response.json()["detail"]
        assert response.json()["remedy"]
        assert len(api.log.sent(DocumentSubmitted)) == 1
        response = await api.client.request(method, path_of() + suffix, json=body, headers=headers | {"If-Match": "1"})
        assert response.status_code == 202
        last = api.log.sent(DocumentSubmitted)[-1]
        assert isinstance(last, DocumentSubmitted)
        assert last.expected_revision == 1

    async def test_if_none_match_creates_once(self, api: FakeApi) -> None:
        headers = await api.key()
        assert (await put(api, headers | {"If-None-Match": "*"})).status_code == 202
        assert (await put(api, headers | {"If-None-Match": "*"})).status_code == 412

    async def test_nonsense_is_named(self, api: FakeApi) -> None:
        response = await put(api, await api.key() | {"If-Match": "latest"})
        assert (response.status_code, response.json()["field"]) == (422, "If-Match")


class TestChanges:
    """PATCH, access and DELETE."""

    async def test_patch_names_only_what_changes(self, api: FakeApi) -> None:
        headers = await api.key()
        await put(api, headers)
        body = {"title": "New", "attributes": {"status": "final"}, "clear": ["url", "attributes.draft"]}
        response = await api.client.patch(path_of(), json=body, headers=headers)
        assert response.status_code == 202
        wish = api.log.sent(DocumentSubmitted)[-1]
        assert isinstance(wish, DocumentSubmitted)
        assert wish.patch is not None
        assert (wish.patch.title, wish.patch.access, wish.patch.clear) == ("New", None, ("url", "attributes.draft"))

    @pytest.mark.parametrize("empty", [False, True])
    async def test_access_is_replaced_even_by_nobody(self, api: FakeApi, *, empty: bool) -> None:
        headers = await api.key()
        await put(api, headers)
        rule = {} if empty else {"clauses": [{"principals": ["user:eve"]}]}
        assert (await api.client.put(f"{path_of()}/access", json=rule, headers=headers)).status_code == 202
        wish = api.log.sent(DocumentSubmitted)[-1]
        assert isinstance(wish, DocumentSubmitted)
        assert wish.patch is not None
        assert (wish.patch.clear == ("access",)) == empty
        assert (wish.patch.access is None) == empty

    async def test_what_does_not_exist_is_404(self, api: FakeApi) -> None:
        headers = await api.key()
        for method, path, body in [
            ("PATCH", path_of(), {"title": "New"}),
            ("PUT", f"{path_of()}/access", EVERYONE),
            ("DELETE", path_of(), None),
        ]:
            response = await api.client.request(method, path, json=body, headers=headers)
            assert (response.status_code, response.json()["code"]) == (404, "not_found")
        assert api.log.events == []

    async def test_delete_twice(self, api: FakeApi) -> None:
        headers = await api.key()
        await put(api, headers)
        assert (await api.client.delete(path_of(), headers=headers)).status_code == 202
        assert (await api.client.delete(path_of(), headers=headers)).status_code == 404
        wish = api.log.sent(DocumentSubmitted)[-1]
        assert isinstance(wish, DocumentSubmitted)
        assert wish.op is SubmissionOp.DELETE

    async def test_the_same_external_id_of_another_tenant_is_another_document(self, api: FakeApi) -> None:
        await put(api, await api.key())
        other = TenantId("other")
        await api.tenant(other)
        response = await api.client.delete(path_of(), headers=await api.key(tenant=other))
        assert response.status_code == 404


class TestPausedSource:
    """A source that an administrator has paused takes nothing until it is resumed."""

    @pytest.fixture
    async def paused(self, api: FakeApi) -> FakeApi:
        await self.put_source(api, paused=True)
        return api

    async def put_source(self, api: FakeApi, *, paused: bool) -> None:
        source = Source(name="Wiki", kind="api", knowledge_base=KnowledgeBaseId("handbook"), paused=paused)
        await api.put(DirectoryKind.SOURCE, "wiki", source)

    @pytest.mark.parametrize(
        ("method", "suffix", "body"),
        [
            ("PUT", "", PAGE),
            ("PATCH", "", {"title": "New"}),
            ("PUT", "/access", {"clauses": []}),
            ("DELETE", "", None),
        ],
    )
    async def test_every_write_is_refused_with_the_remedy(
        self, paused: FakeApi, method: str, suffix: str, body: dict[str, Any] | None
    ) -> None:
        response = await paused.client.request(method, path_of() + suffix, json=body, headers=await paused.key())
        problem = response.json()
        assert (response.status_code, problem["code"], problem["field"]) == (409, "source_paused", "source")
        assert "paused: false" in problem["remedy"]
        assert paused.log.events == []

    async def test_a_line_of_a_batch_is_refused_alone(self, paused: FakeApi) -> None:
        other = Source(name="Other", kind="api", knowledge_base=KnowledgeBaseId("handbook"))
        await paused.put(DirectoryKind.SOURCE, "other", other)
        lines = [item("a"), item("b", source="other")]
        outcome = (await post_batch(paused, lines, await paused.key())).json()
        assert [result["status"] for result in outcome["results"]] == [409, 202]

    async def test_resumed_it_takes_writes_again(self, paused: FakeApi) -> None:
        await self.put_source(paused, paused=False)
        assert (await paused.client.put(path_of(), json=PAGE, headers=await paused.key())).status_code == 202
