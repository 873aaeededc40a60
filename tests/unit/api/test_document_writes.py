"""Writing documents: what is submitted, what is refused before it is, and what stays out of memory."""

import json
import tracemalloc
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from typing import Any

import httpx
import pytest

from headwater.access.tokens import decode_token
from headwater.settings import BlobSettings, Settings
from query_api.documents.addresses import encode_external_id
from schemas.events import AuditRecorded, BlobRef, DocumentSubmitted, Lane
from schemas.events.directory import DirectoryKind, Source
from schemas.events.documents import NOBODY, SubmissionOp
from schemas.ids import KnowledgeBaseId, SourceId, TenantId, document_id
from tests.support.api import ACME, FakeApi, fake_api

EVERYONE = {"clauses": [{"principals": ["everyone"]}]}
PAGE = {"title": "Page", "text": "Some text.", "access": EVERYONE}


def path_of(external_id: str = "page 1", source: str = "wiki") -> str:
    return f"/v1/documents/{source}/{encode_external_id(external_id)}"


async def put(api: FakeApi, headers: Mapping[str, str], body: Mapping[str, Any] = PAGE) -> httpx.Response:
    return await api.client.put(path_of(), json=body, headers=headers)


def only_submission(api: FakeApi) -> DocumentSubmitted:
    (event,) = api.log.sent(DocumentSubmitted)
    assert isinstance(event, DocumentSubmitted)
    return event


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
    ],
)
async def test_a_wrong_field_is_named_and_nothing_is_submitted(
    api: FakeApi, change: Mapping[str, Any], field: str
) -> None:
    response = await put(api, await api.key(), {**PAGE, **change})
    assert (response.status_code, response.json()["field"]) == (422, field)
    assert api.log.events == []


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

    async def test_another_revision_is_refused_with_the_current_one(self, api: FakeApi) -> None:
        headers = await api.key()
        await put(api, headers)
        response = await put(api, headers | {"If-Match": "7"})
        assert (response.status_code, response.json()["code"]) == (412, "revision_mismatch")
        assert "is 1" in response.json()["detail"]
        assert len(api.log.sent(DocumentSubmitted)) == 1

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


class CountingBlobs:
    """A blob store that keeps nothing."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    async def write(self, tenant: TenantId, pieces: AsyncIterable[bytes]) -> BlobRef:
        self.sizes = [len(piece) async for piece in pieces]
        return BlobRef(sha256="0" * 64, size_bytes=sum(self.sizes))

    def read(self, tenant: TenantId, ref: BlobRef) -> AsyncIterator[bytes]:
        raise NotImplementedError

    async def exists(self, tenant: TenantId, ref: BlobRef) -> bool:
        return True


def multipart(
    metadata: Mapping[str, Any], content: AsyncIterator[bytes], *, name: str = "a.pdf"
) -> AsyncIterator[bytes]:
    async def body() -> AsyncIterator[bytes]:
        yield b'--frontier\r\nContent-Disposition: form-data; name="document"\r\n\r\n'
        yield json.dumps(metadata).encode()
        yield f'\r\n--frontier\r\nContent-Disposition: form-data; name="content"; filename="{name}"\r\n\r\n'.encode()
        async for piece in content:
            yield piece
        yield b"\r\n--frontier--\r\n"

    return body()


async def zeros(total: int) -> AsyncIterator[bytes]:
    yield b"%PDF-1.7\n"
    for _ in range(total // 65_536):
        yield bytes(65_536)


MULTIPART = {"Content-Type": "multipart/form-data; boundary=frontier"}
METADATA = {"title": "Report", "access": EVERYONE}


class TestUploads:
    """multipart/form-data."""

    async def test_content_is_streamed_in_pieces_and_never_whole_in_memory(self) -> None:
        blobs = CountingBlobs()
        async with fake_api(blobs=blobs) as api:
            headers = await api.key() | MULTIPART
            tracemalloc.start()
            response = await api.client.put(
                path_of(), content=multipart(METADATA, zeros(64 * 1024 * 1024)), headers=headers
            )
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert response.status_code == 202
            assert set(blobs.sizes[:-1]) == {1024 * 1024}
            assert peak < 8 * 1024 * 1024
            state = only_submission(api).state
            assert state is not None
            assert (state.media_type, state.title) == ("application/pdf", "Report")

    async def test_an_upload_above_the_limit_is_refused_while_it_arrives(self) -> None:
        settings = Settings(blobs=BlobSettings(max_content_bytes=1024 * 1024))
        async with fake_api(settings) as api:
            api.blobs._limit = 1024 * 1024
            headers = await api.key() | MULTIPART
            response = await api.client.put(
                path_of(), content=multipart(METADATA, zeros(2 * 1024 * 1024)), headers=headers
            )
            assert (response.status_code, response.json()["code"]) == (413, "content_too_large")
            assert api.log.events == []

    async def test_the_type_comes_from_the_content_not_from_the_name(self, api: FakeApi) -> None:
        headers = await api.key() | MULTIPART
        await api.client.put(path_of(), content=multipart(METADATA, zeros(0), name="notes.md"), headers=headers)
        state = only_submission(api).state
        assert state is not None
        assert state.media_type == "application/pdf"

    async def test_a_wrong_field_of_the_metadata_part_is_named(self, api: FakeApi) -> None:
        headers = await api.key() | MULTIPART
        response = await api.client.put(path_of(), content=multipart({"titel": "x"}, zeros(0)), headers=headers)
        assert (response.status_code, response.json()["field"]) == (422, "document.title")

    @pytest.mark.parametrize(
        ("body", "status", "field"),
        [
            (b'--frontier\r\nContent-Disposition: form-data; name="document"\r\n\r\n{"title": "x"}', 400, None),
            (b"no multipart at all", 400, None),
            (
                (
                    b'--frontier\r\nContent-Disposition: form-data; name="document"\r\n\r\n{"title": "x"}'
                    b"\r\n--frontier--\r\n"
                ),
                422,
                "content",
            ),
            (
                b'--frontier\r\nContent-Disposition: form-data; name="other"\r\n\r\nx\r\n--frontier--\r\n',
                422,
                "body",
            ),
        ],
    )
    async def test_what_is_missing_or_malformed_is_said(
        self, api: FakeApi, body: bytes, status: int, field: str | None
    ) -> None:
        response = await api.client.put(path_of(), content=body, headers=await api.key() | MULTIPART)
        assert (response.status_code, response.json().get("field")) == (status, field)
        assert api.log.events == []

    async def test_another_content_type_is_refused(self, api: FakeApi) -> None:
        response = await api.client.put(
            path_of(), content=b"x", headers=await api.key() | {"Content-Type": "text/plain"}
        )
        assert (response.status_code, response.json()["field"]) == (415, "Content-Type")

    async def test_nothing_is_read_before_the_caller_may_write(self, api: FakeApi) -> None:
        async def never() -> AsyncIterator[bytes]:
            yield b""
            raise AssertionError("the body was read")

        headers = await api.key(scopes=("read",)) | MULTIPART
        response = await api.client.put(path_of(), content=never(), headers=headers)
        assert (response.status_code, response.json()["code"]) == (403, "forbidden")


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


async def post_batch(api: FakeApi, lines: list[str], headers: Mapping[str, str]) -> httpx.Response:
    return await api.client.post(
        "/v1/documents/batch",
        content="\n".join(lines).encode(),
        headers={**headers, "Content-Type": "application/x-ndjson"},
    )


def item(external_id: str, **more: Any) -> str:
    return json.dumps({"op": "put", "source": "wiki", "external_id": external_id, **PAGE, **more})


class TestBatch:
    """NDJSON."""

    async def test_a_line_that_is_refused_stops_no_other(self, api: FakeApi) -> None:
        lines = [
            item("a"),
            "{not json",
            item("b", titel="x"),
            item("c", source="none"),
            item("d", access={"clauses": [{"principals": ["eve"]}]}),
            json.dumps({"op": "delete", "source": "wiki", "external_id": "unknown"}),
            "",
            item("e"),
        ]
        outcome = (await post_batch(api, lines, await api.key())).json()
        assert [result["status"] for result in outcome["results"]] == [202, 422, 422, 404, 422, 404, 202]
        assert [result["line"] for result in outcome["results"]] == [1, 2, 3, 4, 5, 6, 7]
        assert (outcome["accepted"], outcome["refused"]) == (2, 5)
        assert outcome["results"][2]["problem"]["field"] == "put.titel"
        assert {event.external_id for event in api.log.sent(DocumentSubmitted)} == {"a", "e"}  # type: ignore[attr-defined]  # by its type

    async def test_lines_about_one_document_take_effect_in_order(self, api: FakeApi) -> None:
        lines = [item("a", title=str(n)) for n in range(5)]
        lines.append(json.dumps({"op": "patch", "source": "wiki", "external_id": "a", "title": "5", "if_match": 5}))
        lines.append(json.dumps({"op": "delete", "source": "wiki", "external_id": "a", "if_match": 6}))
        outcome = (await post_batch(api, lines, await api.key())).json()
        assert outcome["refused"] == 0
        assert [event.op.value for event in api.log.sent(DocumentSubmitted)] == ["put"] * 5 + ["patch", "delete"]  # type: ignore[attr-defined]  # by its type

    async def test_the_token_covers_all_lines(self, api: FakeApi) -> None:
        outcome = (await post_batch(api, [item(str(n)) for n in range(70)], await api.key())).json()
        assert outcome["accepted"] == 70
        offsets = decode_token(outcome["token"])["rag.documents.submitted"]
        last = max(n for n, event in enumerate(api.log.events) if isinstance(event, DocumentSubmitted))
        assert offsets == {0: last}

    async def test_too_many_lines_are_refused(self, api: FakeApi) -> None:
        response = await post_batch(api, ['{"op": "x"}'] * 1_001, await api.key())
        assert (response.status_code, response.json()["code"]) == (413, "content_too_large")

    async def test_an_outage_ends_the_request(self, api: FakeApi) -> None:
        headers = await api.key()
        api.log.away = True
        response = await post_batch(api, [item("a")], headers)
        assert (response.status_code, response.json()["code"]) == (503, "dependency_unavailable")
