"""What holds for each method and path of the API, asked through HTTP one by one."""

import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any

import httpx
import pytest

from headwater.settings import ApiSettings, Settings
from query_api.documents.addresses import encode_external_id
from schemas.events.directory import DirectoryKind, Tenant
from schemas.events.queries import QueryExecuted
from schemas.ids import SYSTEM_TENANT, TenantId
from tests.support.api import FakeApi, fake_api
from tests.support.document_writes import put
from tests.support.operations import NOWHERE, OPERATIONS, SCOPES, Operation

OTHER = TenantId("other")
SOMEWHERE = NOWHERE | {"source": "wiki"}  # a document's body is not read before its source is known
NAMED = [operation for operation in OPERATIONS if operation.names_something]
WITH_BODY = [operation for operation in OPERATIONS if operation.body is not None]
WITH_FIELDS = [operation for operation in OPERATIONS if operation.takes_json]


async def asked(api: FakeApi, operation: Operation, headers: Mapping[str, str], **other: Any) -> httpx.Response:
    """Send the operation's request; `other` replaces parts of it."""
    parts = {**operation.content(), **other}
    headers = {**headers, **parts.pop("headers", {})}
    return await api.client.request(operation.method, parts.pop("path", operation.path()), headers=headers, **parts)


def wrongs_of(response: httpx.Response, status: int, code: str) -> str:
    """Say how a response differs from the problem document that it should be; empty where it does not."""
    problem = response.json()
    if (response.status_code, problem.get("code")) != (status, code):
        return f"{response.status_code} {response.text}"
    if response.headers["content-type"] != "application/problem+json" or not problem["remedy"]:
        return f"no problem document with a remedy: {response.text}"
    return ""


async def wrongs(
    api: FakeApi,
    operations: Iterable[Operation],
    expected: tuple[int, str],
    request: Callable[[Operation], dict[str, Any]],
) -> dict[str, str]:
    """Send each operation's request with these parts; return what differs from the expected refusal, by operation."""
    found = {}
    for operation in operations:
        parts = request(operation)
        found[operation.name] = wrongs_of(await asked(api, operation, parts.pop("key"), **parts), *expected)
    return {name: wrong for name, wrong in found.items() if wrong}


@pytest.fixture
async def narrow() -> AsyncIterator[FakeApi]:
    """A replica that takes bodies of a few bytes."""
    async with fake_api(Settings(api=ApiSettings(max_body_bytes=200, max_batch_bytes=200))) as running:
        yield running


async def test_the_table_is_the_openapi_document(api: FakeApi) -> None:
    document = (await api.client.get("/openapi.json")).json()
    documented = {f"{method.upper()} {path}" for path, operations in document["paths"].items() for method in operations}
    assert {operation.name for operation in OPERATIONS} == documented


async def test_nobody_without_a_key_is_answered(api: FakeApi) -> None:
    assert await wrongs(api, OPERATIONS, (401, "unauthenticated"), lambda _: {"key": {}}) == {}
    assert api.log.events == []


async def test_all_scopes_but_the_one_do_not_suffice(api: FakeApi) -> None:
    refusing = [operation for operation in OPERATIONS if operation.scopes != SCOPES]
    keys = {
        scopes: await api.key("eve", scopes=SCOPES - scopes) for scopes in {operation.scopes for operation in refusing}
    }
    found = await wrongs(api, refusing, (403, "forbidden"), lambda operation: {"key": keys[operation.scopes]})
    assert found == {}


async def test_what_is_not_there_is_a_404(api: FakeApi) -> None:
    key = await api.key(scopes=SCOPES)
    assert await wrongs(api, NAMED, (404, "not_found"), lambda _: {"key": key}) == {}
    assert api.log.events == []


async def test_what_another_tenant_has_is_not_there(api: FakeApi) -> None:
    made = (await api.client.post("/v1/keys", json={"name": "laptop"}, headers=await api.key(scopes=SCOPES))).json()
    page = (await put(api, await api.key("ada"))).json()["document_id"]
    theirs = NOWHERE | {"source": "wiki", "external_id": encode_external_id("page 1"), "document_id": page}
    theirs |= {"key_id": made["id"]}
    await api.put(DirectoryKind.TENANT, OTHER, Tenant(name="Other"), tenant=SYSTEM_TENANT)
    key = await api.key("bob", scopes=SCOPES, tenant=OTHER)
    before = len(api.log.events)

    def request(operation: Operation) -> dict[str, Any]:
        record = {"record_id": "wiki" if "/sources/" in operation.template else "ada"}
        return {"key": key, "path": operation.path(theirs | record)}

    of_tenants = [operation for operation in NAMED if operation.of_a_tenant]
    assert await wrongs(api, of_tenants, (404, "not_found"), request) == {}
    assert len(api.log.events) == before


async def test_an_unknown_field_is_named_with_the_remedy_and_changes_nothing(api: FakeApi) -> None:
    key = await api.key(scopes=SCOPES)
    found = {}
    for operation in WITH_FIELDS:
        body = {**operation.body, "nonsense": "s3cret"}
        response = await asked(api, operation, key, json=body, path=operation.path(SOMEWHERE))
        named = response.json().get("field") == "nonsense" and "s3cret" not in response.text
        found[operation.name] = wrongs_of(response, 422, "invalid_request") or ("" if named else response.text)
    assert {name: wrong for name, wrong in found.items() if wrong} == {}
    assert api.log.events == []


async def test_a_body_that_is_too_large_is_refused(narrow: FakeApi) -> None:
    key = await narrow.key(scopes=SCOPES)

    def request(operation: Operation) -> dict[str, Any]:
        path = operation.path(SOMEWHERE)
        if operation.takes_json:
            large = json.dumps({**operation.body, "nonsense": "x" * 300})
            return {"key": key | {"Content-Type": "application/json"}, "json": None, "content": large, "path": path}
        return {"key": key, "content": f"{operation.body}\n" * 3, "path": path}

    assert await wrongs(narrow, WITH_BODY, (413, "content_too_large"), request) == {}
    assert narrow.log.events == []


async def test_a_replica_that_is_behind_answers_nothing(api: FakeApi) -> None:
    key = await api.key(scopes=SCOPES)
    api.heads.lag_s = 10.5
    assert await wrongs(api, OPERATIONS, (503, "stale_replica"), lambda _: {"key": key}) == {}
    assert {type(event) for event in api.log.events} == {QueryExecuted}  # a query that fails is a query
