"""Directory records through the API."""

from dataclasses import replace
from typing import Any

import pytest

from query_api.retrieval.profiles import MEASURED
from schemas.events import AuditRecorded, DirectorySubmitted
from schemas.events.directory import DirectoryKind, DirectoryOp, Group
from schemas.ids import SYSTEM_TENANT, TenantId
from tests.support.api import ACME, FakeApi

BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "users": ("ada@example.com", {"name": "Ada", "guest": True}),
    "groups": ("wiki:editors", {"name": "Editors", "members": ["user:ada", "group:wiki:chiefs"]}),
    "knowledge-bases": ("kb1", {"name": "KB", "description": "..."}),
    "sources": ("s1", {"name": "S", "kind": "filesystem", "knowledge_base": "handbook", "settings": {"root": "/x"}}),
    "retrieval-profiles": ("p1", {"vector_weight": 0.7}),
}


@pytest.mark.parametrize("kind", sorted(BODIES))
async def test_put_read_list_delete(api: FakeApi, kind: str) -> None:
    headers = await api.key()
    record_id, body = BODIES[kind]
    accepted = await api.client.put(f"/v1/directory/{kind}/{record_id}", json=body, headers=headers)
    assert accepted.status_code == 202, accepted.text
    token = {"after": accepted.json()["token"]}
    shown = await api.client.get(f"/v1/directory/{kind}/{record_id}", headers=headers, params=token)
    assert shown.json()["record"].items() >= body.items()
    assert (shown.json()["revision"], shown.headers["etag"]) == (1, '"1"')
    listed = (await api.client.get(f"/v1/directory/{kind}", headers=headers)).json()["records"]
    assert record_id in {record["id"] for record in listed}
    assert (await api.client.delete(f"/v1/directory/{kind}/{record_id}", headers=headers)).status_code == 202
    assert (await api.client.get(f"/v1/directory/{kind}/{record_id}", headers=headers)).status_code == 404
    ops = [event.op for event in api.log.sent(DirectorySubmitted)]  # type: ignore[attr-defined]  # by its type
    assert ops == [DirectoryOp.PUT, DirectoryOp.DELETE]


async def test_a_put_becomes_the_events_record(api: FakeApi) -> None:
    headers = await api.key()
    await api.client.put("/v1/directory/groups/wiki:editors", json=BODIES["groups"][1], headers=headers)
    await api.client.put("/v1/directory/retrieval-profiles/p1", json={"rerank": False}, headers=headers)
    group, profile = api.log.sent(DirectorySubmitted)
    assert isinstance(group, DirectorySubmitted)
    assert isinstance(profile, DirectorySubmitted)
    assert group.record == Group(name="Editors", members=("user:ada", "group:wiki:chiefs"))  # type: ignore[arg-type]  # principals
    assert profile.record == replace(MEASURED, rerank=False)
    audits = [event for event in api.log.sent(AuditRecorded) if isinstance(event, AuditRecorded)]
    assert [(a.action, a.resource) for a in audits] == [
        ("directory.put", "groups/wiki:editors"),
        ("directory.put", "retrieval-profiles/p1"),
    ]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("groups/editors", {"name": "x", "members": []}, "id"),
        ("groups/wiki:x", {"name": "x", "members": ["ada"]}, "members[0]"),
        ("sources/s1", {"name": "x", "kind": "api", "knowledge_base": "none"}, "knowledge_base"),
        ("knowledge-bases/k", {"name": "x", "retrieval_profile": "none"}, "retrieval_profile"),
        ("knowledge-bases/k", {"name": "x", "colour": "red"}, "colour"),
        ("knowledge-bases/-k", {"name": "x"}, "id"),
        ("retrieval-profiles/p", {"vector_weight": 1.5}, "vector_weight"),
    ],
)
async def test_a_wrong_field_is_named(api: FakeApi, path: str, body: dict[str, Any], field: str) -> None:
    response = await api.client.put(f"/v1/directory/{path}", json=body, headers=await api.key())
    assert (response.status_code, response.json()["field"]) == (422, field)
    assert api.log.events == []


async def test_if_match_goes_to_admission_and_a_mismatch_does_not(api: FakeApi) -> None:
    headers = await api.key()
    path, body = "/v1/directory/knowledge-bases/handbook", {"name": "New"}
    assert (await api.client.put(path, json=body, headers=headers | {"If-Match": "9"})).status_code == 412
    assert (await api.client.delete(path, headers=headers | {"If-Match": "9"})).status_code == 412
    assert (await api.client.put(path, json=body, headers=headers | {"If-Match": "1"})).status_code == 202
    (event,) = api.log.sent(DirectorySubmitted)
    assert isinstance(event, DirectorySubmitted)
    assert event.expected_revision == 1


async def test_pages(api: FakeApi) -> None:
    headers = await api.key()
    for number in range(5):
        await api.put(DirectoryKind.GROUP, f"wiki:{number}", Group(name="g", members=()))
    seen, cursor = [], None
    for _ in range(3):
        params = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await api.client.get("/v1/directory/groups", headers=headers, params=params)).json()
        seen += [record["id"] for record in page["records"]]
        cursor = page["cursor"]
    assert seen == [f"wiki:{number}" for number in range(5)]
    assert cursor is None
    wrong = await api.client.get("/v1/directory/groups", headers=headers, params={"cursor": "\xff"})
    assert (wrong.status_code, wrong.json()["field"]) == (422, "cursor")


async def test_readers_see_collections_and_nothing_else(api: FakeApi) -> None:
    headers = await api.key("eve", scopes=("read",))
    for kind in ("knowledge-bases", "retrieval-profiles"):
        assert (await api.client.get(f"/v1/directory/{kind}", headers=headers)).status_code == 200
    for kind in ("users", "groups", "sources", "tenants", "generations"):
        assert (await api.client.get(f"/v1/directory/{kind}", headers=headers)).status_code == 403
    put = await api.client.put("/v1/directory/users/eve", json={"name": "Eve"}, headers=headers)
    assert put.status_code == 403


async def test_tenants_are_the_systems_and_apart_from_one_another(api: FakeApi) -> None:
    admin, system = await api.key("ada"), await api.key("root", scopes=("system",))
    path = "/v1/directory/tenants/new"
    assert (await api.client.put(path, json={"name": "New"}, headers=admin)).status_code == 403
    assert (await api.client.put(path, json={"name": "New"}, headers=system)).status_code == 202
    assert (SYSTEM_TENANT, DirectoryKind.TENANT, "new") in api.directory.entries
    made = await api.client.post(f"{path}/administrator", headers=system)
    assert made.status_code == 201, made.text
    theirs = {"Authorization": f"Bearer {made.json()['key']}"}
    users = (await api.client.get("/v1/directory/users", headers=theirs)).json()["records"]
    assert [user["id"] for user in users] == ["admin"]
    assert (await api.client.get("/v1/directory/users/ada", headers=theirs)).status_code == 404
    assert (TenantId("new"), DirectoryKind.USER, "admin") in api.directory.entries
    assert (ACME, DirectoryKind.USER, "admin") not in api.directory.entries


async def test_generations_and_keys_are_not_written_here(api: FakeApi) -> None:
    headers = await api.key(scopes=("admin", "system"))
    for method, path in [
        ("PUT", "generations/g2"),
        ("DELETE", "generations/g1"),
        ("GET", "keys"),
        ("DELETE", "keys/0123456789abcdef"),
    ]:
        response = await api.client.request(method, f"/v1/directory/{path}", headers=headers)
        assert response.status_code in {405, 422}, path
