"""API keys through the API."""

from typing import Any

import pytest

from schemas.events import AuditRecorded
from schemas.events.directory import ApiKey, DirectoryKind, User
from schemas.ids import TenantId
from tests.support.api import ACME, FakeApi

WHO = "/v1/directory/knowledge-bases"


def bearer(made: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {made['key']}"}


async def make(api: FakeApi, headers: dict[str, str], **wanted: Any) -> dict[str, Any]:
    response = await api.client.post("/v1/keys", json={"name": "laptop", **wanted}, headers=headers)
    assert response.status_code == 201, response.text
    return dict(response.json())


async def test_a_key_is_shown_once_and_stored_as_a_hash(api: FakeApi) -> None:
    headers = await api.key()
    made = await make(api, headers)
    assert made["applied"]
    assert (await api.client.get(WHO, headers=bearer(made))).status_code == 200
    stored = api.directory.entries[ACME, DirectoryKind.API_KEY, made["id"]].record
    assert isinstance(stored, ApiKey)
    secret = made["key"].rsplit("_", 1)[1]
    assert secret not in repr(stored)
    listed = await api.client.get("/v1/keys", headers=headers)
    assert made["id"] in listed.text
    assert secret not in listed.text
    assert stored.hash not in listed.text


async def test_it_expires_after_a_year_unless_said_otherwise(api: FakeApi) -> None:
    made = await make(api, await api.key(), expires_in_s=60)
    api.clock.advance(61)
    assert (await api.client.get(WHO, headers=bearer(made))).status_code == 401
    headers = await api.key()
    made = await make(api, headers)
    api.clock.advance(365 * 24 * 3600)
    assert (await api.client.get(WHO, headers=bearer(made))).status_code == 401


async def test_an_administrator_acts_as_another_user_and_it_is_audited(api: FakeApi) -> None:
    await api.put(DirectoryKind.USER, "bob", User(name="Bob"))
    made = await make(api, await api.key("ada"), user="bob", expires_in_s=300)
    assert (made["user"], made["scopes"]) == ("bob", ["read"])
    audit = api.log.sent(AuditRecorded)[-1]
    assert isinstance(audit, AuditRecorded)
    assert (audit.actor, audit.action, audit.resource) == ("user:ada", "keys.create", f"keys/{made['id']}")


async def test_no_key_gives_more_than_it_has(api: FakeApi) -> None:
    headers = await api.key(scopes=("admin", "read"))
    refused = await api.client.post("/v1/keys", json={"name": "x", "scopes": ["write"]}, headers=headers)
    assert (refused.status_code, refused.json()["field"]) == (403, "scopes")
    reader = await api.key("eve", scopes=("read",))
    assert (await api.client.post("/v1/keys", json={"name": "x"}, headers=reader)).status_code == 403


async def test_an_unknown_user_is_named(api: FakeApi) -> None:
    response = await api.client.post("/v1/keys", json={"name": "x", "user": "nobody"}, headers=await api.key())
    assert (response.status_code, response.json()["field"]) == (422, "user")


async def test_rotation_leaves_two_valid_keys_for_a_while(api: FakeApi) -> None:
    headers = await api.key()
    old = await make(api, headers)
    response = await api.client.post(f"/v1/keys/{old['id']}/rotate", json={"overlap_s": 60}, headers=headers)
    new = response.json()
    assert response.status_code == 201
    assert new["id"] != old["id"]
    for key in (old, new):
        assert (await api.client.get(WHO, headers=bearer(key))).status_code == 200
    api.clock.advance(60)
    assert (await api.client.get(WHO, headers=bearer(old))).status_code == 401
    assert (await api.client.get(WHO, headers=bearer(new))).status_code == 200


async def test_rotation_needs_no_body_and_never_prolongs_the_old_key(api: FakeApi) -> None:
    headers = await api.key()
    old = await make(api, headers, expires_in_s=30)
    assert (await api.client.post(f"/v1/keys/{old['id']}/rotate", headers=headers)).status_code == 201
    api.clock.advance(30)
    assert (await api.client.get(WHO, headers=bearer(old))).status_code == 401


async def test_a_withdrawn_key_is_void(api: FakeApi) -> None:
    headers = await api.key()
    made = await make(api, headers)
    assert (await api.client.delete(f"/v1/keys/{made['id']}", headers=headers)).status_code == 202
    assert (await api.client.get(WHO, headers=bearer(made))).status_code == 401


async def test_everyone_manages_their_own_and_sees_no_others(api: FakeApi) -> None:
    admin, eve = await api.key("ada"), await api.key("eve", scopes=("read",))
    others = await make(api, admin)
    listed = (await api.client.get("/v1/keys", headers=eve)).json()["keys"]
    assert [key["user"] for key in listed] == ["eve"]
    assert (await api.client.delete(f"/v1/keys/{others['id']}", headers=eve)).status_code == 404
    assert (await api.client.delete(f"/v1/keys/{listed[0]['id']}", headers=eve)).status_code == 202


@pytest.mark.parametrize("method", ["DELETE", "POST"])
async def test_keys_of_another_tenant_do_not_exist(api: FakeApi, method: str) -> None:
    other = TenantId("other")
    await api.tenant(other)
    theirs = await make(api, await api.key(tenant=other))
    path = f"/v1/keys/{theirs['id']}" + ("/rotate" if method == "POST" else "")
    assert (await api.client.request(method, path, headers=await api.key())).status_code == 404


async def test_a_key_that_is_not_applied_yet_says_so(api: FakeApi) -> None:
    headers = await api.key()
    api.log.held = True
    assert not (await make(api, headers))["applied"]
