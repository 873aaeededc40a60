"""Reading documents: only through the gate, and only what the gate has judged."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from headwater.ports.heads import Head
from schemas.events import Access, Clause, Lane, Position, Store
from schemas.events.directory import DirectoryKind, Group
from schemas.events.documents import (
    DocumentChanged,
    DocumentOp,
    DocumentProgressed,
    ProgressOutcome,
    Trail,
)
from schemas.ids import (
    EVERYONE,
    DocumentId,
    GenerationName,
    KnowledgeBaseId,
    Principal,
    Revision,
    SourceId,
    TenantId,
    document_id,
)
from tests.support.api import ACME, FakeApi
from tests.support.heads import changed

G1 = GenerationName("g1")
WIKI = SourceId("wiki")


def readers(*principals: str) -> Access:
    return Access(clauses=(Clause(principals=tuple(map(Principal, principals))),))


async def admit(
    api: FakeApi, name: str, *, access: Access, revision: int = 1, tenant: TenantId = ACME, **fields: Any
) -> DocumentId:
    """Put a document into the log: heads and read model know it."""
    document = document_id(tenant, WIKI, name)
    state = changed(
        document,
        tenant_id=tenant,
        source=WIKI,
        external_id=name,
        revision=Revision(revision),
        access=access,
        title=f"Title {name} {revision}",
        admitted_at=api.clock() + timedelta(seconds=revision),
        **fields,
    )
    follow(api, state)
    await record(api, state)
    return document


def follow(api: FakeApi, state: DocumentChanged) -> None:
    api.heads.documents[state.tenant_id, state.document_id] = Head(
        tenant_id=state.tenant_id,
        document_id=state.document_id,
        knowledge_base=state.knowledge_base,
        source=state.source,
        revision=state.revision,
        op=state.op,
        access=state.access,
        directory_position=0,
    )


async def record(api: FakeApi, state: DocumentChanged) -> None:
    position = Position(topic="rag.documents.changed", partition=0, offset=int(state.revision))
    await api.documents.record_states([(state, position)])


async def report(
    api: FakeApi, document: DocumentId, store: Store, outcome: ProgressOutcome, *, revision: int = 1, **fields: Any
) -> None:
    now, state = api.clock(), api.documents.states[document]
    trail = Trail(
        submitted=state.submitted,
        changed=Position(topic="rag.documents.changed", partition=0, offset=revision),
        submission_occurred_at=now,
        submission_observed_at=now,
        admitted_at=now,
        prepared_at=now,
        indexed_at=now,
        parser="markdown@1",
        model="minilm@1/int8",
    )
    values: dict[str, Any] = {"stage": None, "error": None, "reason": None} | fields
    await api.documents.record_progress(
        [
            DocumentProgressed(
                event_id=uuid4(),
                tenant_id=ACME,
                occurred_at=now,
                observed_at=now,
                document_id=document,
                revision=Revision(revision),
                generation=G1,
                store=store,
                outcome=outcome,
                lane=Lane.LIVE,
                rows=3,
                embedded=1,
                reused=2,
                trail=trail,
                **values,
            )
        ]
    )


async def get(api: FakeApi, document: str, headers: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
    response = await api.client.get(f"/v1/documents/{document}", headers=headers)
    return response.status_code, dict(response.json())


async def test_a_reader_sees_state_times_and_stores(api: FakeApi) -> None:
    document = await admit(api, "a", access=readers("user:ada"), attributes={"status": "final", "tags": ("x", "y")})
    headers = await api.key("ada", scopes=("read",))
    status, pending = await get(api, document, headers)
    assert (status, pending["status"], pending["title"]) == (200, "pending", "Title a 1")
    assert pending["attributes"] == {"status": "final", "tags": ["x", "y"]}
    assert pending["access"] is None
    await report(api, document, Store.KEYWORDS, ProgressOutcome.COMPLETE)
    assert (await get(api, document, headers))[1]["status"] == "partial"
    await report(api, document, Store.VECTORS, ProgressOutcome.COMPLETE)
    _, done = await get(api, document, headers)
    assert done["status"] == "searchable"
    assert done["stores"]["vectors"]["rows"] == 3
    assert done["times"]["searchable_by_meaning_at"]
    assert done["failure"] is None
    assert done["meta"]["generation"] == "g1"


async def test_a_failure_is_told_with_its_reason(api: FakeApi) -> None:
    document = await admit(api, "a", access=readers("user:ada"))
    for store in Store:
        await report(
            api,
            document,
            store,
            ProgressOutcome.FAILED,
            stage="prepare",
            error="UnreadableFileError",
            reason="content: not a PDF",
        )
    _, shown = await get(api, document, await api.key("ada"))
    assert shown["status"] == "failed"
    assert shown["failure"] == {"stage": "prepare", "error": "UnreadableFileError", "reason": "content: not a PDF"}


@pytest.mark.parametrize("suffix", ["", "/lineage"])
async def test_what_is_hidden_and_what_is_missing_look_the_same(api: FakeApi, suffix: str) -> None:
    hidden = await admit(api, "secret", access=readers("user:bob"))
    nobody = await admit(api, "nobody", access=Access())
    denied = await admit(api, "denied", access=replace(readers(EVERYONE), deny=(Principal("user:ada"),)))
    deleted = await admit(api, "deleted", access=readers(EVERYONE), op=DocumentOp.DELETED)
    moved = await admit(api, "moved", access=readers(EVERYONE), knowledge_base=KnowledgeBaseId("gone"))
    theirs = await admit(api, "theirs", access=readers(EVERYONE), tenant=TenantId("other"))
    headers = await api.key("ada")
    answers = [
        await get(api, document + suffix, headers)
        for document in (hidden, nobody, denied, deleted, moved, theirs, DocumentId("0" * 32))
    ]
    assert {status for status, _ in answers} == {404}
    assert len({str(body).replace(body["detail"], "") for _, body in answers}) == 1


async def test_a_title_is_not_shown_before_its_own_readers_are_known(api: FakeApi) -> None:
    """Redacted and then shared: the read model still holds the state from before."""
    document = await admit(api, "a", access=readers("user:bob"), revision=1)
    shared = replace(
        api.documents.states[document], revision=Revision(2), access=readers(EVERYONE), title="Redacted title"
    )
    follow(api, shared)
    headers = await api.key("ada", scopes=("read",))
    _, shown = await get(api, document, headers)
    assert (shown["revision"], shown["title"], shown["attributes"], shown["status"]) == (2, None, {}, "pending")
    listed = (await api.client.get("/v1/documents", headers=headers)).json()
    assert "Title a 1" not in str(listed)
    lineage = await api.client.get(f"/v1/documents/{document}/lineage", headers=headers)
    assert "Title a 1" not in lineage.text
    await record(api, shared)
    assert (await get(api, document, headers))[1]["title"] == "Redacted title"


async def test_and_neither_is_one_that_the_replica_has_not_judged_yet(api: FakeApi) -> None:
    document = await admit(api, "a", access=readers(EVERYONE), revision=1)
    withdrawn = replace(
        api.documents.states[document], revision=Revision(2), access=readers("user:bob"), title="For Bob alone"
    )
    await record(api, withdrawn)
    headers = await api.key("ada", scopes=("read",))
    assert "For Bob alone" not in str(await get(api, document, headers))
    assert "For Bob alone" not in (await api.client.get("/v1/documents", headers=headers)).text


async def test_the_access_rule_is_for_those_who_maintain_it(api: FakeApi) -> None:
    document = await admit(api, "a", access=readers(EVERYONE))
    assert (await get(api, document, await api.key("ada", scopes=("read",))))[1]["access"] is None
    _, shown = await get(api, document, await api.key("ada", scopes=("read", "write")))
    assert shown["access"] == {"clauses": [{"principals": ["everyone"]}], "deny": []}


async def test_lineage_leads_to_offsets_parser_and_model(api: FakeApi) -> None:
    document = await admit(api, "a", access=readers(EVERYONE))
    await report(api, document, Store.VECTORS, ProgressOutcome.COMPLETE)
    response = await api.client.get(f"/v1/documents/{document}/lineage", headers=await api.key())
    log, vectors = response.json()["steps"]
    assert (log["step"], log["changed"]["offset"], log["submitted"]["topic"]) == ("log", 1, "rag.documents.submitted")
    assert (vectors["step"], vectors["parser"], vectors["model"]) == ("vectors", "markdown@1", "minilm@1/int8")


class TestLists:
    """GET /v1/documents."""

    async def test_a_replica_that_is_lost_under_the_listing_refuses(
        self, api: FakeApi, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await admit(api, "mine", access=readers("user:ada"))
        headers = await api.key("ada", scopes=("read",))
        read = api.documents.list_documents

        async def losing(*asked: Any, **options: Any) -> Any:
            page = await read(*asked, **options)
            api.heads.documents.clear()
            api.heads.lag_s = 11.0
            return page

        monkeypatch.setattr(api.documents, "list_documents", losing)
        response = await api.client.get("/v1/documents", headers=headers)
        assert (response.status_code, response.json()["code"]) == (503, "stale_replica")

    async def test_only_what_the_caller_may_read_page_by_page(self, api: FakeApi) -> None:
        for number in range(10):
            await admit(api, f"mine {number}", access=readers("group:wiki:x"), revision=10 + number)
            # Two clauses are in a row, the third is the gate's business: these pass the store's filter.
            clauses = tuple(Clause(principals=(p,)) for p in (Principal("user:ada"), EVERYONE, Principal("user:zoe")))
            await admit(api, f"gate {number}", access=Access(clauses=clauses), revision=10 + number)
        await api.put(DirectoryKind.GROUP, "wiki:x", Group(name="x", members=(Principal("user:ada"),)))
        headers = await api.key("ada", scopes=("read",))
        seen, cursor = [], None
        for _ in range(20):
            params = {"limit": "4"} | ({"cursor": cursor} if cursor else {})
            page = (await api.client.get("/v1/documents", headers=headers, params=params)).json()
            seen += [document["external_id"] for document in page["documents"]]
            cursor = page["cursor"]
            if cursor is None:
                break
        assert seen == [f"mine {number}" for number in reversed(range(10))]

    async def test_filters(self, api: FakeApi) -> None:
        await admit(api, "a", access=readers(EVERYONE), media_type="text/markdown")
        await admit(api, "b", access=readers(EVERYONE), media_type="application/pdf")
        headers = await api.key()
        for params, expected in [
            ({"external_id": "a"}, {"a"}),
            ({"source": "wiki"}, {"a", "b"}),
            ({"source": "other"}, set()),
            ({"media_type": "application/pdf"}, {"b"}),
            ({"knowledge_base": "handbook"}, {"a", "b"}),
            ({"status": "searchable"}, set()),
            ({"title": "title b"}, {"b"}),
        ]:
            page = (await api.client.get("/v1/documents", headers=headers, params=params)).json()
            assert {document["external_id"] for document in page["documents"]} == expected, params

    @pytest.mark.parametrize(
        ("params", "field"),
        [
            ({"colour": "red"}, "colour"),
            ({"limit": "1000"}, "limit"),
            ({"status": "x"}, "status"),
            ({"cursor": "x"}, "cursor"),
        ],
    )
    async def test_a_wrong_parameter_is_named(self, api: FakeApi, params: dict[str, str], field: str) -> None:
        response = await api.client.get("/v1/documents", headers=await api.key(), params=params)
        assert (response.status_code, response.json()["field"]) == (422, field)
