"""Syncs through the API: requests go into the log, and how they stand comes from it."""

from dataclasses import replace
from typing import Any

import pytest

from schemas.events import AuditRecorded, SyncRequested
from schemas.events.directory import DirectoryKind, Source
from schemas.events.syncs import SourceTested, SyncEnding, SyncMode, SyncProgressed
from schemas.ids import KnowledgeBaseId, SourceId, TenantId
from tests.support.api import ACME, FakeApi
from tests.support.golden import golden

SYNC = "/v1/directory/sources/files/sync"
TEST = "/v1/directory/sources/files/test"


async def files(api: FakeApi, *, paused: bool = False) -> dict[str, str]:
    record = Source(name="Files", kind="filesystem", knowledge_base=KnowledgeBaseId("handbook"), paused=paused)
    await api.put(DirectoryKind.SOURCE, "files", record)
    return await api.key()


def requested(api: FakeApi) -> list[tuple[str, SyncMode, tuple[str, ...], bool]]:
    events = [event for event in api.log.events if isinstance(event, SyncRequested)]
    return [(event.source, event.mode, event.items, event.cancels) for event in events]


@pytest.mark.parametrize(
    ("body", "mode", "items"),
    [
        ({}, SyncMode.INCREMENTAL, ()),
        ({"mode": "full"}, SyncMode.FULL, ()),
        ({"mode": "permissions"}, SyncMode.PERMISSIONS, ()),
        ({"mode": "items", "items": ["a/ü.md"]}, SyncMode.ITEMS, ("a/ü.md",)),
    ],
)
async def test_a_request_goes_into_the_log(
    api: FakeApi, body: dict[str, Any], mode: SyncMode, items: tuple[str, ...]
) -> None:
    response = await api.client.post(SYNC, json=body, headers=await files(api))
    assert (response.status_code, response.json()) == (202, {"source": "files", "mode": mode.value})
    assert requested(api) == [("files", mode, items, False)]
    [audit] = [event for event in api.log.events if isinstance(event, AuditRecorded)]
    assert (audit.action, audit.resource, audit.actor) == (f"sources.sync.{mode.value}", "sources/files", "user:ada")


async def test_a_cancellation_is_a_request_too(api: FakeApi) -> None:
    response = await api.client.delete(SYNC, headers=await files(api))
    assert (response.status_code, response.json()["mode"]) == (202, None)
    assert requested(api) == [("files", SyncMode.INCREMENTAL, (), True)]


@pytest.mark.parametrize(
    "body", [{"mode": "items"}, {"items": ["a"]}, {"mode": "instant"}, {"mode": "items", "items": [""]}]
)
async def test_a_wrong_request_is_refused(api: FakeApi, body: dict[str, Any]) -> None:
    assert (await api.client.post(SYNC, json=body, headers=await files(api))).status_code == 422
    assert requested(api) == []


async def test_what_cannot_be_synced_is_refused_by_its_reason(api: FakeApi) -> None:
    headers = await files(api, paused=True)
    paused = await api.client.post(SYNC, json={}, headers=headers)
    written = await api.client.post("/v1/directory/sources/wiki/sync", json={}, headers=headers)
    unknown = await api.client.post("/v1/directory/sources/none/sync", json={}, headers=headers)
    assert [each.status_code for each in (paused, written, unknown)] == [409, 409, 404]
    assert paused.json()["code"] == "source_paused"
    assert requested(api) == []


async def test_only_administrators_sync_and_look(api: FakeApi) -> None:
    await files(api)
    reader = await api.key("bob", scopes=("read", "write"))
    assert (await api.client.post(SYNC, json={}, headers=reader)).status_code == 403
    assert (await api.client.get(SYNC, headers=reader)).status_code == 403
    assert (await api.client.get("/v1/syncs", headers=reader)).status_code == 403


async def test_how_it_stands_is_shown_and_of_the_own_tenant_alone(api: FakeApi) -> None:
    headers = await files(api)
    assert (await api.client.get(SYNC, headers=headers)).status_code == 404
    mine = replace(golden(SyncProgressed, "running"), tenant_id=ACME, source=SourceId("files"))
    api.syncs.newest_of = {
        (ACME, SourceId("files")): mine,
        (ACME, SourceId("removed")): replace(mine, source=SourceId("removed")),
        (TenantId("other"), SourceId("files")): replace(mine, tenant_id=TenantId("other"), upserted=9),
    }
    shown = (await api.client.get(SYNC, headers=headers)).json()
    assert (shown["running"], shown["ending"], shown["upserted"], shown["remaining"]) == (True, None, 128, 1872)
    assert shown["estimated_end_at"].startswith("2026-03-02T09:29:37")
    assert shown["waits_until"] is None
    assert (await api.client.get("/v1/syncs", headers=headers)).json()["syncs"] == [shown]


@pytest.mark.parametrize("name", ["waiting", "limited"])
async def test_that_a_source_is_waited_for_is_shown_and_until_when(api: FakeApi, name: str) -> None:
    headers = await files(api)
    event = replace(golden(SyncProgressed, name), tenant_id=ACME, source=SourceId("files"))
    api.syncs.newest_of = {(ACME, SourceId("files")): event}
    shown = (await api.client.get(SYNC, headers=headers)).json()
    assert shown["waits_until"].startswith("2026-03-02T09:55:00")
    assert (shown["ending"], shown["message"]) == (event.ending, event.message)
    assert "allows requests again at 2026-03-02 09:55:00 UTC" in shown["message"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"schedule": "every day"}, "schedule"), ({"secrets": {"token": "hunter2"}}, "secrets.token")],
)
async def test_a_secret_is_a_reference_and_a_schedule_a_cron(api: FakeApi, wrong: dict[str, Any], field: str) -> None:
    body = {"name": "S", "kind": "s3", "knowledge_base": "handbook"}
    path, headers = "/v1/directory/sources/s", await api.key()
    good = {"schedule": "*/15 * * * *", "secrets": {"token": "env:WIKI_TOKEN"}}
    assert (await api.client.put(path, json=body | good, headers=headers)).status_code == 202
    shown = (await api.client.get(path, headers=headers)).json()["record"]
    assert shown.items() >= good.items()
    refused = await api.client.put(path, json=body | wrong, headers=headers)
    assert (refused.status_code, refused.json()["field"]) == (422, field)
    assert "hunter2" not in refused.text


async def test_a_test_is_asked_for_of_a_paused_source_too(api: FakeApi) -> None:
    response = await api.client.post(TEST, headers=await files(api, paused=True))
    [wish] = [event for event in api.log.events if isinstance(event, SyncRequested)]
    assert (response.status_code, response.json()) == (202, {"source": "files", "test_id": str(wish.event_id)})
    assert (wish.source, wish.tests, wish.cancels, wish.actor) == ("files", True, False, "user:ada")
    [audit] = [event for event in api.log.events if isinstance(event, AuditRecorded)]
    assert (audit.action, audit.resource, audit.actor) == ("sources.test", "sources/files", "user:ada")


async def test_what_a_test_found_is_shown(api: FakeApi) -> None:
    headers = await files(api)
    assert (await api.client.get(TEST, headers=headers)).status_code == 404
    found = replace(golden(SourceTested, "unauthorised"), tenant_id=ACME, source=SourceId("files"))
    api.syncs.tests[ACME, SourceId("files")] = found
    shown = (await api.client.get(TEST, headers=headers)).json()
    assert shown == {
        "source": "files",
        "test_id": str(found.test_id),
        "passed": False,
        "ending": "unauthorised",
        "message": found.message,
        "started_at": "2026-03-02T09:14:59.500000Z",
        "ended_at": "2026-03-02T09:15:00.250000Z",
    }
    api.syncs.tests[ACME, SourceId("files")] = replace(found, ending=SyncEnding.COMPLETED)
    assert (await api.client.get(TEST, headers=headers)).json()["passed"] is True


async def test_administrators_test_and_what_a_connector_reads_alone(api: FakeApi) -> None:
    headers = await files(api)
    reader = await api.key("bob", scopes=("read", "write"))
    assert (await api.client.post(TEST, headers=reader)).status_code == 403
    assert (await api.client.get(TEST, headers=reader)).status_code == 403
    written = await api.client.post("/v1/directory/sources/wiki/test", headers=headers)
    unknown = await api.client.post("/v1/directory/sources/none/test", headers=headers)
    nowhere = await api.client.get("/v1/directory/sources/none/test", headers=headers)
    assert [each.status_code for each in (written, unknown, nowhere)] == [409, 404, 404]
    assert requested(api) == []
