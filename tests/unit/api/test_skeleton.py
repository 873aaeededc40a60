"""What holds for every path: problem documents, staleness, headers, limits."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Annotated

import pytest
from fastapi import Body, FastAPI, Path
from pydantic import BaseModel

from headwater.clients.kafka.errors import RecordRefusedError
from headwater.errors import FatalError, PoisonError, RetryableError
from headwater.settings import ApiSettings, Settings
from query_api.dependencies import AsOf, Caller
from query_api.problems import COMMON, MEDIA_TYPE, Problem
from tests.support.api import FakeApi, fake_api


class Probe(BaseModel, frozen=True, extra="forbid"):
    """A body like any other."""

    name: str
    tags: tuple[int, ...] = ()


COMMON_STATUSES = {str(int(error.status)) for error in COMMON}
RAISED = {
    "busy": RetryableError("milvus: busy"),
    "poison": PoisonError("filters[0].field: 'x' is not a field; use one that /docs lists"),
    "fatal": FatalError("HEADWATER_MILVUS__TOKEN: refused"),
    "record": RecordRefusedError("MSG_SIZE_TOO_LARGE: Broker: Message size too large"),
    "bug": ValueError("secret text of a document"),
}


def add_probes(app: FastAPI) -> None:
    """Add paths that only these tests have."""

    @app.get("/v1/probe")
    async def probe(caller: Caller, as_of: AsOf) -> dict[str, str]:
        return {"user": caller.user, "as_of": as_of.isoformat()}

    @app.post("/v1/probe")
    async def take(body: Annotated[Probe, Body()]) -> Probe:
        return body

    @app.put("/v1/probe/{name}")
    async def name(name: Annotated[str, Path(max_length=3)], body: Annotated[Probe, Body()]) -> Probe:
        return body.model_copy(update={"name": name})

    @app.get("/v1/probe/raise/{name}")
    async def fail(name: str) -> None:
        raise RAISED[name]

    @app.get("/v1/probe/slow")
    async def slow() -> None:
        await asyncio.Event().wait()


@pytest.fixture
async def probed(api: FakeApi) -> FakeApi:
    add_probes(api.app)
    return api


@pytest.fixture
async def strict() -> AsyncIterator[FakeApi]:
    settings = Settings(api=ApiSettings(request_timeout_s=0.05, max_body_bytes=100))
    async with fake_api(settings) as running:
        add_probes(running.app)
        yield running


async def test_every_response_carries_as_of_and_a_request_id(probed: FakeApi) -> None:
    response = await probed.client.get("/v1/probe", headers=await probed.key())
    assert response.status_code == 200
    assert response.headers["headwater-as-of"] == response.json()["as_of"] == probed.heads.as_of().isoformat()
    missing = await probed.client.get("/v1/nothing")
    assert missing.headers["headwater-as-of"]
    assert missing.headers["headwater-request-id"] != response.headers["headwater-request-id"]


async def test_a_stale_replica_refuses_and_says_as_of_when(probed: FakeApi) -> None:
    headers = await probed.key()
    probed.heads.lag_s = 10.5
    response = await probed.client.get("/v1/probe", headers=headers)
    assert response.status_code == 503
    assert response.json()["code"] == "stale_replica"
    assert response.headers["retry-after"] == "1"
    probed.heads.lag_s = 9.5
    assert (await probed.client.get("/v1/probe", headers=headers)).status_code == 200


@pytest.mark.parametrize("where", ["query", "header"])
async def test_after_waits_until_the_write_is_applied(probed: FakeApi, where: str) -> None:
    headers = await probed.key()
    token = "eyJyYWcuZG9jdW1lbnRzLnN1Ym1pdHRlZCI6eyIwIjoxfX0"
    asked = {"params": {"after": token}} if where == "query" else {"headers": {**headers, "Headwater-After": token}}
    asked = {"headers": headers, **asked}
    assert (await probed.client.get("/v1/probe", **asked)).status_code == 200  # type: ignore[arg-type]  # two shapes
    probed.log.held = True
    refused = await probed.client.get("/v1/probe", **asked)  # type: ignore[arg-type]  # two shapes
    assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (503, "not_applied_yet", "after")


async def test_a_token_that_is_none_of_ours_is_named(probed: FakeApi) -> None:
    response = await probed.client.get("/v1/probe", headers=await probed.key(), params={"after": "no token"})
    assert (response.status_code, response.json()["field"]) == (422, "after")


async def test_unknown_fields_are_refused_by_name_and_never_quoted(probed: FakeApi) -> None:
    response = await probed.client.post("/v1/probe", json={"name": "x", "tags": [1, "two"], "s3cret": "hunter2"})
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert {error["field"] for error in problem["errors"]} == {"s3cret", "tags[1]"}
    assert problem["field"] in {"s3cret", "tags[1]"}
    assert problem["remedy"]
    assert "hunter2" not in response.text


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("busy", 503, "dependency_unavailable"),
        ("poison", 422, "invalid_request"),
        ("fatal", 503, "dependency_unavailable"),
        ("record", 413, "content_too_large"),
        ("bug", 500, "internal_error"),
    ],
)
async def test_errors_of_ports_and_bugs_become_problems(probed: FakeApi, name: str, status: int, code: str) -> None:
    response = await probed.client.get(f"/v1/probe/raise/{name}")
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers["headwater-request-id"]
    assert response.headers["headwater-as-of"]
    assert "secret text" not in response.text
    assert "HEADWATER_MILVUS__TOKEN" not in response.text
    assert "Traceback" not in response.text


async def test_a_poison_error_names_its_field(probed: FakeApi) -> None:
    response = await probed.client.get("/v1/probe/raise/poison")
    assert response.json()["field"] == "filters[0].field"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/v1/nothing", 404, "not_found"), ("DELETE", "/v1/probe", 405, "method_not_allowed")],
)
async def test_unknown_paths_and_methods_are_problems(
    probed: FakeApi, method: str, path: str, status: int, code: str
) -> None:
    response = await probed.client.request(method, path)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers["content-type"] == "application/problem+json"


async def test_malformed_json_is_a_problem(probed: FakeApi) -> None:
    response = await probed.client.post("/v1/probe", content=b"{not json", headers={"content-type": "application/json"})
    assert response.status_code == 422
    assert response.json()["code"] == "invalid_request"


async def test_a_wrong_part_of_a_path_is_named_beside_a_body(probed: FakeApi) -> None:
    response = await probed.client.put("/v1/probe/long", json={"name": "x"})
    assert (response.status_code, response.json()["field"]) == (422, "name")


async def test_a_body_that_is_declared_as_something_else_is_a_problem(probed: FakeApi) -> None:
    response = await probed.client.post("/v1/probe", content=b'{"name": "x"}', headers={"content-type": "text/plain"})
    problem = response.json()
    assert (response.status_code, problem["code"], problem["field"]) == (415, "unsupported_body", "Content-Type")


async def test_a_request_that_takes_too_long_ends_with_a_problem(strict: FakeApi) -> None:
    response = await strict.client.get("/v1/probe/slow")
    assert (response.status_code, response.json()["code"]) == (504, "timeout")
    assert response.headers["headwater-request-id"]


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_above_the_limit_is_refused_declared_or_not(strict: FakeApi, *, declared: bool) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield b" " * 50

    content = b" " * 200 if declared else pieces()
    response = await strict.client.post("/v1/probe", content=content, headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["code"]) == (413, "content_too_large")


async def test_headers_above_the_limit_are_refused(probed: FakeApi) -> None:
    response = await probed.client.get("/v1/probe", headers={"x-long": "x" * 40_000})
    assert (response.status_code, response.json()["code"]) == (431, "headers_too_large")


async def test_the_openapi_document_is_complete(api: FakeApi) -> None:
    document = (await api.client.get("/openapi.json")).json()
    assert {"Problem", "BatchProblem", "BatchOutcome"} <= document["components"]["schemas"].keys()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            expected = COMMON_STATUSES | ({"400", "415"} if "requestBody" in operation else set())
            assert expected <= operation["responses"].keys(), f"{method} {path}"


async def test_examples_of_problems_are_problems(api: FakeApi) -> None:
    document = (await api.client.get("/openapi.json")).json()
    declared = [
        response["content"][MEDIA_TYPE]["examples"]
        for operations in document["paths"].values()
        for operation in operations.values()
        for response in operation["responses"].values()
        if MEDIA_TYPE in response.get("content", {})
    ]
    assert declared
    for examples in declared:
        for code, example in examples.items():
            assert Problem.model_validate(example["value"]).code == code


async def test_every_reference_of_the_openapi_document_is_there(api: FakeApi) -> None:
    document = (await api.client.get("/openapi.json")).json()
    referred = set(re.findall(r"#/components/schemas/([A-Za-z0-9_-]+)", json.dumps(document)))
    assert referred <= document["components"]["schemas"].keys()


async def test_the_documentation_is_served(api: FakeApi) -> None:
    assert (await api.client.get("/docs")).status_code == 200


async def test_the_documentation_page_needs_nothing_from_elsewhere(api: FakeApi) -> None:
    page = (await api.client.get("/docs")).text
    assert "https://" not in page
    for asset in re.findall(r'(?:src|href)="(/[^"]+)"', page):
        assert (await api.client.get(asset)).status_code == 200
    assert "/static-offline-docs/swagger-ui-bundle.js" in page
