"""Who gets in, as whom, and what a key allows."""

from datetime import timedelta

import pytest

from query_api.authorization import Action, Resource, authorize
from query_api.identity import Identity, Scope
from query_api.problems import ForbiddenError, NotFoundError
from schemas.events.directory import DirectoryKind, Group
from schemas.ids import SYSTEM_TENANT, Principal, TenantId
from tests.support.api import ACME, FakeApi, fake_api

PATH = "/v1/directory/knowledge-bases"


async def status_of(api: FakeApi, headers: dict[str, str]) -> tuple[int, str]:
    response = await api.client.get(PATH, headers=headers)
    return response.status_code, response.json().get("code", "")


async def test_a_valid_key_gets_in(api: FakeApi) -> None:
    assert await status_of(api, await api.key()) == (200, "")


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer nonsense", "Basic YTpi", "Bearer hw_acme.0123456789abcdef_" + "0" * 48]
)
async def test_anything_else_does_not_and_learns_nothing(api: FakeApi, value: str) -> None:
    await api.key()
    response = await api.client.get(PATH, headers={"Authorization": value})
    assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")
    assert response.headers["www-authenticate"].startswith("Bearer")


async def test_a_key_with_one_digit_changed_is_void(api: FakeApi) -> None:
    headers = await api.key()
    text = headers["Authorization"]
    headers["Authorization"] = text[:-1] + ("0" if text[-1] != "0" else "1")
    assert await status_of(api, headers) == (401, "unauthenticated")


async def test_a_key_of_one_tenant_is_none_of_another(api: FakeApi) -> None:
    await api.tenant(TenantId("other"))
    headers = await api.key()
    headers["Authorization"] = headers["Authorization"].replace("hw_acme.", "hw_other.")
    assert await status_of(api, headers) == (401, "unauthenticated")


async def test_a_key_expires(api: FakeApi) -> None:
    headers = await api.key(expires_in=timedelta(seconds=60))
    api.clock.advance(59)
    assert await status_of(api, headers) == (200, "")
    api.clock.advance(1)
    assert await status_of(api, headers) == (401, "unauthenticated")


@pytest.mark.parametrize("what", ["user", "tenant", "key"])
async def test_a_key_dies_with_its_user_its_tenant_and_its_record(api: FakeApi, what: str) -> None:
    headers = await api.key("ada")
    for tenant, kind, record_id in list(api.directory.entries):
        if (what, kind) in {
            ("user", DirectoryKind.USER),
            ("tenant", DirectoryKind.TENANT),
            ("key", DirectoryKind.API_KEY),
        }:
            del api.directory.entries[tenant, kind, record_id]
    assert await status_of(api, headers) == (401, "unauthenticated")


async def test_a_caller_in_too_many_groups_is_told_so(api: FakeApi) -> None:
    headers = await api.key("ada")
    for number in range(api.runtime.settings.api.max_principals):
        group = Group(name="g", members=(Principal("user:ada"),))
        await api.put(DirectoryKind.GROUP, f"wiki:{number}", group)
    assert await status_of(api, headers) == (403, "forbidden")


async def test_authentication_comes_before_waiting() -> None:
    async with fake_api() as api:
        api.log.held = True
        response = await api.client.get(PATH, params={"after": "e30"})
        assert response.status_code == 401


async def test_rights_are_those_after_the_write_that_was_waited_for(api: FakeApi) -> None:
    """A key that is withdrawn by the write behind `after` does not get in."""
    headers = await api.key()
    withdraw = api.log.wait

    async def wait(*args: object, **more: object) -> None:
        for key in [key for key in api.directory.entries if key[1] is DirectoryKind.API_KEY]:
            del api.directory.entries[key]

    api.log.wait = wait  # type: ignore[method-assign]  # admission, seen at the worst moment
    response = await api.client.get(PATH, params={"after": "e30"}, headers=headers)
    api.log.wait = withdraw  # type: ignore[method-assign]  # as it was
    assert response.status_code == 401


def caller(*scopes: Scope) -> Identity:
    return Identity(
        tenant_id=ACME, user="ada", key_id="k", scopes=frozenset(scopes), principals=frozenset({Principal("user:ada")})
    )


class TestAuthorize:
    """The one function that says who may do what."""

    @pytest.mark.parametrize("action", sorted(set(Action) - {Action.MANAGE_TENANTS}))
    def test_nothing_of_another_tenant_exists(self, action: Action) -> None:
        resource = Resource(tenant_id=TenantId("other"), kind="documents", id="x")
        with pytest.raises(NotFoundError):
            authorize(caller(*Scope), action, resource)

    @pytest.mark.parametrize(
        ("action", "scope"),
        [
            (Action.SEARCH, Scope.READ),
            (Action.READ_DOCUMENTS, Scope.READ),
            (Action.WRITE_DOCUMENTS, Scope.WRITE),
            (Action.READ_DIRECTORY, Scope.ADMIN),
            (Action.WRITE_DIRECTORY, Scope.ADMIN),
            (Action.MANAGE_KEYS, Scope.ADMIN),
            (Action.READ_PARKED, Scope.ADMIN),
            (Action.MANAGE_TENANTS, Scope.SYSTEM),
        ],
    )
    def test_one_scope_allows_and_all_others_together_do_not(self, action: Action, scope: Scope) -> None:
        resource = Resource(tenant_id=ACME, kind="x")
        authorize(caller(scope), action, resource)
        with pytest.raises(ForbiddenError, match=scope):
            authorize(caller(*(set(Scope) - {scope})), action, resource)

    def test_tenants_are_managed_from_outside_them(self) -> None:
        authorize(caller(Scope.SYSTEM), Action.MANAGE_TENANTS, Resource(tenant_id=SYSTEM_TENANT, kind="tenants"))
