"""Deletions that wait, through the API: shown with their reasons, approved one by one, each by name."""

from dataclasses import replace
from datetime import timedelta

import pytest

from headwater.access.tokens import decode_token
from schemas.events import AuditRecorded, DirectorySubmitted, DocumentChanged, DocumentSubmitted
from schemas.events.base import Position
from schemas.events.directory import DirectoryKind, DirectoryOp, Source
from schemas.events.documents import DeletionQuarantined, DocumentOp, SubmissionOp
from schemas.ids import DocumentId, KnowledgeBaseId, SourceId
from tests.support.api import ACME, FakeApi
from tests.support.golden import golden

WAITING = "/v1/directory/sources/files/deletions"
APPROVE = f"{WAITING}/approve"


def deletion(number: int, reason: str = "more than a tenth") -> DeletionQuarantined:
    example = golden(DeletionQuarantined, "beyond_the_day")
    return replace(
        example,
        tenant_id=ACME,
        source=SourceId("files"),
        document_id=DocumentId(f"{number:032x}"),
        external_id=f"page-{number}.md",
        reason=reason,
        quarantined_at=example.quarantined_at + timedelta(minutes=number),
        submitted=Position(topic="rag.documents.submitted", partition=number % 2, offset=100 + number),
    )


async def headers_of(api: FakeApi, *waiting: DeletionQuarantined) -> dict[str, str]:
    record = Source(name="Files", kind="filesystem", knowledge_base=KnowledgeBaseId("handbook"))
    await api.put(DirectoryKind.SOURCE, "files", record)
    api.quarantine.events = list(waiting)
    return await api.key()


def submitted(api: FakeApi) -> list[DocumentSubmitted]:
    return [event for event in api.log.events if isinstance(event, DocumentSubmitted)]


async def test_what_waits_is_counted_by_its_reasons(api: FakeApi) -> None:
    other = replace(deletion(9), source=SourceId("wiki"))
    headers = await headers_of(api, deletion(1), deletion(2, "more than 5"), deletion(3), other)
    found = (await api.client.get(WAITING, headers=headers)).json()
    assert (found["waiting"], found["oldest_at"], found["newest_at"]) == (
        3,
        "2026-03-02T09:16:00.760000Z",
        "2026-03-02T09:18:00.760000Z",
    )
    assert found["reasons"] == [{"reason": "more than a tenth", "count": 2}, {"reason": "more than 5", "count": 1}]
    assert [each["external_id"] for each in found["documents"]] == ["page-1.md", "page-2.md", "page-3.md"]


async def test_nothing_waits(api: FakeApi) -> None:
    headers = await headers_of(api)
    found = (await api.client.get(WAITING, headers=headers)).json()
    assert (found["waiting"], found["oldest_at"], found["documents"]) == (0, None, [])
    answer = await api.client.post(APPROVE, json={}, headers=headers)
    assert answer.json() == {"source": "files", "approved": 0, "left": 0, "token": None}
    assert submitted(api) == []


async def test_each_approval_names_the_deletion_and_who_approves(api: FakeApi) -> None:
    headers = await headers_of(api, deletion(1), deletion(2), deletion(3))
    api.log.held = True
    answer = await api.client.post(APPROVE, json={"limit": 2}, headers=headers)
    assert answer.status_code == 202
    assert (answer.json()["approved"], answer.json()["left"]) == (2, 1)
    assert [(each.external_id, each.op, each.approves, each.actor) for each in submitted(api)] == [
        (f"page-{number}.md", SubmissionOp.DELETE, deletion(number).submitted, "user:ada") for number in (1, 2)
    ]
    assert {each.source_version for each in submitted(api)} == {None}
    [audit] = [event for event in api.log.events if isinstance(event, AuditRecorded)]
    assert (audit.action, audit.resource, audit.actor) == ("sources.approve", "sources/files", "user:ada")
    assert (audit.reason or "").startswith("2 deletions")
    offsets = decode_token(answer.json()["token"])
    assert sum(len(partitions) for partitions in offsets.values()) >= 1


async def test_only_those_that_began_to_wait_by_then(api: FakeApi) -> None:
    headers = await headers_of(api, deletion(1), deletion(2), deletion(3))
    until = deletion(2).quarantined_at.isoformat()
    answer = await api.client.post(APPROVE, json={"until": until}, headers=headers)
    assert (answer.json()["approved"], answer.json()["left"]) == (2, 0)


@pytest.mark.parametrize("body", [{"limit": 0}, {"limit": 1_001}, {"until": "2026-03-02T09:16:00"}, {"all": True}])
async def test_a_wrong_wish_is_refused(api: FakeApi, body: dict[str, object]) -> None:
    headers = await headers_of(api, deletion(1))
    assert (await api.client.post(APPROVE, json=body, headers=headers)).status_code == 422
    assert submitted(api) == []


async def test_a_source_is_removed_with_as_many_documents_as_are_confirmed(api: FakeApi) -> None:
    headers = await headers_of(api)
    of_files = replace(golden(DocumentChanged, "upserted"), tenant_id=ACME, source=SourceId("files"))
    gone = replace(of_files, document_id=DocumentId("9" * 32), op=DocumentOp.DELETED)
    other = replace(of_files, document_id=DocumentId("8" * 32), source=SourceId("wiki"))
    position = Position(topic="rag.documents.changed", partition=0, offset=1)
    await api.documents.record_states([(each, position) for each in (of_files, gone, other)])
    assert (await api.client.get(WAITING, headers=headers)).json()["source_documents"] == 1
    source = "/v1/directory/sources/files"
    fewer = await api.client.delete(source, params={"documents": 0}, headers=headers)
    assert (fewer.status_code, fewer.json()["field"]) == (409, "documents")
    assert "has 1 documents" in fewer.json()["detail"]
    answer = await api.client.delete(source, params={"documents": 1}, headers=headers)
    assert (answer.status_code, answer.json()["id"]) == (202, "files")
    [command] = [event for event in api.log.events if isinstance(event, DirectorySubmitted)]
    assert (command.op, command.record_id, command.with_documents) == (DirectoryOp.DELETE, "files", True)
    [audit] = [event for event in api.log.events if isinstance(event, AuditRecorded)]
    assert (audit.action, audit.resource) == ("sources.remove", "sources/files")
    assert (await api.client.delete(source, params={"documents": 1}, headers=headers)).status_code == 404


async def test_without_a_confirmation_the_documents_stay(api: FakeApi) -> None:
    headers = await headers_of(api)
    assert (await api.client.delete("/v1/directory/sources/files", headers=headers)).status_code == 202
    [command] = [event for event in api.log.events if isinstance(event, DirectorySubmitted)]
    assert not command.with_documents


async def test_administrators_of_the_tenant_alone(api: FakeApi) -> None:
    headers = await headers_of(api, deletion(1))
    reader = await api.key("bob", scopes=("read", "write"))
    assert (await api.client.get(WAITING, headers=reader)).status_code == 403
    assert (await api.client.post(APPROVE, json={}, headers=reader)).status_code == 403
    unknown = await api.client.post("/v1/directory/sources/none/deletions/approve", json={}, headers=headers)
    assert unknown.status_code == 404
    assert submitted(api) == []
