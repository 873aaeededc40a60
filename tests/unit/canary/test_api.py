"""The canary as a caller: its home, its keys, its requests."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from headwater.canary.api import ApiCaller, call
from headwater.canary.documents import probes
from headwater.canary.home import settle_in
from headwater.canary.keys import Keys, read_keys, write_keys
from headwater.canary.plan import Change
from headwater.canary.walk import CallFailedError
from headwater.errors import FatalError, RetryableError
from headwater.settings import Settings
from schemas.ids import TenantId

PROBE = probes(TenantId("headwater-canary"), 4)[2]
URL = "http://headwater.test/v1"


def settings_in(folder: Path) -> Settings:
    canary = {"keys_file": folder / "canary.keys"}
    return Settings.model_validate({"canary": canary, "api": {"key": "hw_operator"}})


class Api:
    """Answers what making a home asks for; `keys` are those that are valid."""

    def __init__(self, *, scope: bool = True) -> None:
        self.scope, self.keys = scope, {"hw_operator"}
        self.made = 0
        self.asked: list[tuple[str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        key, path = request.headers["authorization"].split()[1], request.url.path.removeprefix("/v1")
        self.asked.append((request.method, path))
        if key not in self.keys:
            return httpx.Response(401, json={"code": "unauthenticated"})
        if "tenants" in path and not self.scope:
            return httpx.Response(403, json={"code": "forbidden"})
        if request.method == "POST":
            self.made += 1
            self.keys.add(f"hw_{self.made}")
        return httpx.Response(200, json={"token": "t", "key": f"hw_{self.made}"})

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self), base_url=URL)


async def test_a_home_is_made_once_and_its_keys_are_private(tmp_path: Path) -> None:
    api, settings = Api(), settings_in(tmp_path)
    async with api.client() as http:
        keys = await settle_in(http, settings)
        assert (settings.canary.keys_file.stat().st_mode & 0o777) == 0o600
        assert read_keys(settings.canary.keys_file) == keys
        assert "hw_" not in repr(keys)
        made = len(api.asked)
        assert await settle_in(http, settings) == keys
        assert api.asked[made:] == [("GET", "/keys")] * 2
        api.keys -= {keys.witness}
        assert await settle_in(http, settings) != keys, "withdrawn keys are made anew"


async def test_without_the_scope_it_says_what_to_do(tmp_path: Path) -> None:
    async with Api(scope=False).client() as http:
        with pytest.raises(FatalError, match="HEADWATER_API__KEY"):
            await settle_in(http, settings_in(tmp_path))


async def test_an_api_that_is_away_is_waited_for(tmp_path: Path) -> None:
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    async with httpx.AsyncClient(transport=httpx.MockTransport(away), base_url=URL) as http:
        with pytest.raises(RetryableError, match="ConnectError"):
            await settle_in(http, settings_in(tmp_path))


def test_keys_that_others_may_read_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "canary.keys"
    write_keys(file, Keys(owner="a", witness="b"))
    file.chmod(0o644)
    with pytest.raises(FatalError, match="others may read it"):
        read_keys(file)
    file.chmod(0o600)
    file.write_text("{")
    assert read_keys(file) is None


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (httpx.Response(503, json={"code": "stale_replica"}), "stale_replica"),
        (httpx.Response(502, text="<html>"), "JSONDecodeError"),
        (httpx.Response(500, json=[]), "status_500"),
    ],
)
async def test_every_refusal_has_a_code(answer: httpx.Response, code: str) -> None:
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answer), base_url=URL) as http:
        with pytest.raises(CallFailedError) as raised:
            await call(http, "k", "GET", "/x")
    assert raised.value.code == code


async def test_the_witness_looks_and_the_owner_writes() -> None:
    asked: list[tuple[str, str, str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        asked.append((request.headers["authorization"], request.method, request.url.path, body))
        return httpx.Response(200, json={"hits": [{"text": "found"}]})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url=URL) as http:
        caller = ApiCaller(http=http, keys=Keys(owner="hw_o", witness="hw_w"))
        assert await caller.look(PROBE, "word", "keyword") == ["found"]
        await caller.change(PROBE, Change.REVOKE, {})
        await caller.change(PROBE, Change.DELETE, {})
        await caller.report(UUID(int=1), datetime.now(UTC), PROBE, ())
    looked, revoked, deleted, reported = asked
    assert looked[:3] == ("Bearer hw_w", "POST", "/v1/search")
    assert looked[3]["filters"] == {"field": "document_id", "equals": PROBE.document_id}
    assert revoked[0] == "Bearer hw_o"
    assert revoked[3] == {"clauses": [{"principals": ["user:canary"]}]}
    assert (deleted[1], reported[2]) == ("DELETE", "/v1/freshness/rounds")
