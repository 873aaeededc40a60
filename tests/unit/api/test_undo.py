"""Undoing a source's deletions through the API: a dry run first, a page at a time, by administrators alone."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from headwater.clients.kafka.records import Record
from schemas.events import AuditRecorded, DocumentChanged, DocumentSubmitted, Lane
from schemas.events.directory import DirectoryKind, Source
from schemas.events.documents import DeletionQuarantined, SubmissionOp
from schemas.ids import KnowledgeBaseId, TenantId, document_id
from schemas.topics import Topic
from tests.support.api import ACME, FakeApi
from tests.support.golden import golden
from tests.support.heads import FILES, NOON, changed
from tests.unit.archive.test_undo import deletion

HOUR = timedelta(hours=1)
PATH = f"/v1/directory/sources/{FILES}/undo"
SINCE = {"since": NOON.isoformat()}


async def headers_of(api: FakeApi) -> dict[str, str]:
    record = Source(name="Files", kind="filesystem", knowledge_base=KnowledgeBaseId("handbook"))
    await api.put(DirectoryKind.SOURCE, FILES, record)
    return await api.key()


async def gone(api: FakeApi, name: str, *, tenant: TenantId = ACME) -> DocumentChanged:
    record = await there(api, name, tenant=tenant)
    api.history.change(deletion(record, NOON + HOUR))
    return record


async def there(api: FakeApi, name: str, *, tenant: TenantId = ACME) -> DocumentChanged:
    content = await api.blobs.write(tenant, _bytes(name))
    identity = document_id(tenant, FILES, name)
    record = changed(identity, tenant_id=tenant, external_id=name, title=name, content=content)
    api.history.change(record)
    return record


async def _bytes(text: str) -> AsyncIterator[bytes]:
    yield text.encode()


def submitted(api: FakeApi) -> list[DocumentSubmitted]:
    return [event for event in api.log.events if isinstance(event, DocumentSubmitted)]


async def test_without_a_word_to_the_contrary_it_is_a_dry_run(api: FakeApi) -> None:
    headers = await headers_of(api)
    await gone(api, "a.md")
    answer = await api.client.post(PATH, json=SINCE, headers=headers)
    assert answer.status_code == 202
    found = {"dry_run": True, "restored": 1, "kept": 0, "lost": [], "cursor": None, "token": None}
    assert answer.json() == {"source": FILES, **found}
    assert api.log.events == []


async def test_what_was_deleted_is_submitted_by_the_caller_and_audited(api: FakeApi) -> None:
    headers = await headers_of(api)
    record = await gone(api, "a.md")
    waits = await there(api, "b.md")
    await gone(api, "c.md", tenant=TenantId("rival"))
    emptied = await gone(api, "d.md")
    assert emptied.content is not None
    del api.blobs.blobs[ACME, emptied.content.sha256]
    waiting = replace(golden(DeletionQuarantined, "beyond_the_day"), tenant_id=ACME, source=FILES)
    api.quarantine.events = [replace(waiting, document_id=waits.document_id, quarantined_at=NOON + HOUR)]

    answer = await api.client.post(PATH, json={**SINCE, "dry_run": False}, headers=headers)
    report = answer.json()
    assert (report["restored"], report["kept"], report["dry_run"], report["cursor"]) == (1, 1, False, None)
    assert report["lost"] == [{"external_id": "d.md", "why": "its content has left the blob store"}]
    assert isinstance(report["token"], str)
    found = {each.external_id: each for each in submitted(api)}
    assert set(found) == {"a.md", "b.md"}
    back = found["a.md"]
    assert (back.op, back.lane, back.actor, back.expected_revision) == (
        SubmissionOp.PUT,
        Lane.BACKFILL,
        "user:ada",
        0,
    )
    assert back.state is not None
    assert back.state.content == record.content
    assert found["b.md"].expected_revision == waits.revision
    [audit] = [event for event in api.log.events if isinstance(event, AuditRecorded)]
    assert (audit.action, audit.resource, audit.actor) == ("sources.undo", f"sources/{FILES}", "user:ada")
    assert (audit.reason or "").startswith("2 documents that were deleted since 2026")


async def test_pages_are_each_at_most_the_limit_and_together_everything_once(api: FakeApi) -> None:
    headers = await headers_of(api)
    names = {f"{number}.md" for number in range(9)}
    for name in names:
        await gone(api, name)
    body: dict[str, Any] = {**SINCE, "dry_run": False, "limit": 2}
    sizes: list[int] = []
    cursor: str | None = None
    while not sizes or cursor is not None:
        report = (await api.client.post(PATH, json={**body, "cursor": cursor}, headers=headers)).json()
        sizes.append(report["restored"])
        cursor = report["cursor"]
    assert max(sizes) == 2
    assert sum(sizes) == 9
    assert sorted(each.external_id for each in submitted(api)) == sorted(names)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"since": "2026-03-02T08:00:00"},
        {**SINCE, "limit": 1_001},
        {**SINCE, "limit": 0},
        {**SINCE, "cursor": "*"},
        {**SINCE, "cursor": "b25l"},
        {**SINCE, "all": True},
    ],
)
async def test_a_wrong_wish_is_refused(api: FakeApi, body: dict[str, Any]) -> None:
    headers = await headers_of(api)
    await gone(api, "a.md")
    assert (await api.client.post(PATH, json={**body, "dry_run": False}, headers=headers)).status_code == 422
    assert submitted(api) == []


async def test_administrators_of_the_tenant_alone(api: FakeApi) -> None:
    headers = await headers_of(api)
    await gone(api, "a.md")
    wish = {**SINCE, "dry_run": False}
    reader = await api.key("bob", scopes=("read", "write"))
    assert (await api.client.post(PATH, json=wish, headers=reader)).status_code == 403
    rival = TenantId("rival")
    await api.tenant(rival)
    stranger = await api.key("eve", tenant=rival)
    assert (await api.client.post(PATH, json=wish, headers=stranger)).status_code == 404
    unknown = await api.client.post("/v1/directory/sources/none/undo", json=wish, headers=headers)
    assert unknown.status_code == 404
    assert submitted(api) == []


async def test_a_replica_reads_the_log_for_one_undo_at_a_time(api: FakeApi) -> None:
    headers = await headers_of(api)
    async with api.runtime.undoing:
        refused = await api.client.post(PATH, json=SINCE, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert (await api.client.post(PATH, json=SINCE, headers=headers)).status_code == 202


async def test_a_page_ends_where_the_time_did(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = await headers_of(api)
    for name in ("a.md", "b.md", "c.md", "d.md"):
        await gone(api, name)
    whole = api.history.records

    async def records(topic: Topic, start: Mapping[int, int], ends: Mapping[int, int]) -> AsyncIterator[Record]:
        if min(start) > 0:
            raise TimeoutError
        async for record in whole(topic, start, ends):
            yield record

    monkeypatch.setattr(api.history, "records", records)
    first = (await api.client.post(PATH, json=SINCE, headers=headers)).json()
    monkeypatch.undo()
    second = (await api.client.post(PATH, json={**SINCE, "cursor": first["cursor"]}, headers=headers)).json()
    assert 0 < first["restored"] < 4
    assert (first["restored"] + second["restored"], second["cursor"]) == (4, None)


async def test_a_log_that_is_too_long_for_a_request_says_what_to_run(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = await headers_of(api)
    monkeypatch.setattr("query_api.undo.service.READING_SHARE", 0.01)

    async def records(topic: Topic, start: Mapping[int, int], ends: Mapping[int, int]) -> AsyncIterator[Record]:
        yield await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(api.history, "records", records)
    refused = await api.client.post(PATH, json=SINCE, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (504, "timeout")
    assert "headwater sources undo" in refused.json()["remedy"]
