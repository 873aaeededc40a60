"""Refused attempts are in the audit trail before their callers know of the refusal."""

import asyncio
import json

import pytest

from headwater.telemetry.metrics import AUDIT_EVENTS_LOST
from query_api import refusals
from schemas.events import AuditRecorded, Event, Position
from tests.support.api import ACME, FakeApi

BATCH = {"Content-Type": "application/x-ndjson"}


def trail(api: FakeApi) -> list[tuple[str, str, str, str | None]]:
    records = [each for each in api.log.sent(AuditRecorded) if isinstance(each, AuditRecorded)]
    assert {each.tenant_id for each in records} <= {ACME}
    assert {each.client_address for each in records} <= {"192.0.2.7"}
    return [(each.actor, each.action, each.resource, each.outcome) for each in records]


@pytest.mark.parametrize(
    ("method", "path", "scopes", "expected"),
    [
        ("GET", "/v1/directory/users", ("read",), ("directory.read", "users/*")),
        ("PUT", "/v1/directory/users/eve", ("read",), ("directory.write", "users/eve")),
        ("PUT", "/v1/directory/tenants/new", ("admin",), ("tenants.manage", "tenants/new")),
        ("GET", "/v1/parked", ("read", "write"), ("parked.read", "parked/*")),
        ("GET", "/v1/documents", ("write",), ("documents.read", "documents/*")),
        ("DELETE", "/v1/documents/wiki/YQ", ("read",), ("documents.write", "sources/wiki")),
    ],
)
async def test_a_refusal_says_who_wanted_what_and_from_where(
    api: FakeApi, method: str, path: str, scopes: tuple[str, ...], expected: tuple[str, str]
) -> None:
    body = {"json": {"name": "x"}} if method == "PUT" else {}
    response = await api.client.request(method, path, headers=await api.key("eve", scopes=scopes), **body)  # type: ignore[arg-type]  # httpx's own keywords
    assert (response.status_code, response.json()["code"]) == (403, "forbidden")
    assert trail(api) == [("user:eve", *expected, "refused")]
    [record] = api.log.sent(AuditRecorded)
    assert isinstance(record, AuditRecorded)
    assert record.reason == response.json()["detail"]


async def test_a_wish_for_more_scopes_than_ones_own_is_recorded(api: FakeApi) -> None:
    body = {"name": "mine", "scopes": ["read", "system"]}
    response = await api.client.post("/v1/keys", json=body, headers=await api.key("eve", scopes=("admin", "read")))
    assert (response.status_code, response.json()["field"]) == (403, "scopes")
    assert trail(api) == [("user:eve", "keys.manage", "keys/*", "refused")]


async def test_a_batch_that_may_not_be_written_is_refused_once_and_as_a_whole(api: FakeApi) -> None:
    lines = "\n".join(json.dumps({"op": "delete", "source": "wiki", "external_id": str(n)}) for n in range(50))
    headers = await api.key("eve", scopes=("read",)) | BATCH
    response = await api.client.post("/v1/documents/batch", content=lines, headers=headers)
    assert response.status_code == 403
    assert trail(api) == [("user:eve", "documents.write", "sources/*", "refused")]


async def test_what_is_hidden_or_unauthenticated_is_no_attempt_of_a_known_caller(api: FakeApi) -> None:
    headers = await api.key("eve")
    assert (await api.client.get(f"/v1/documents/{'0' * 32}", headers=headers)).status_code == 404
    assert (await api.client.get("/v1/documents", headers={"Authorization": "Bearer hw_x"})).status_code == 401
    assert trail(api) == []


async def test_without_the_log_a_refusal_stays_a_refusal_and_the_gap_is_counted(api: FakeApi) -> None:
    headers = await api.key("eve", scopes=("write",))
    api.log.away = True
    before = AUDIT_EVENTS_LOST._value.get()
    assert (await api.client.get("/v1/documents", headers=headers)).status_code == 403
    assert AUDIT_EVENTS_LOST._value.get() == before + 1


async def test_a_log_that_does_not_answer_delays_a_refusal_only_so_long(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(_event: Event) -> Position:
        await asyncio.Event().wait()
        raise AssertionError

    headers = await api.key("eve", scopes=("write",))
    monkeypatch.setattr(api.log, "send", never)
    monkeypatch.setattr(refusals, "RECORDED_WITHIN_S", 0.01)
    assert (await api.client.get("/v1/documents", headers=headers)).status_code == 403
