"""The first start, with one replica and with two."""

import asyncio
import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from headwater.errors import FatalError
from headwater.settings import ApiSettings, Settings
from query_api import bootstrap as module
from query_api.bootstrap import bootstrap
from query_api.credentials import new_key, write_once
from schemas.events import DirectorySubmitted
from schemas.events.directory import DirectoryKind
from schemas.ids import TenantId
from tests.support.api import FakeApi, fake_api

DEFAULT = TenantId("default")


@pytest.fixture
async def fresh(tmp_path: Path) -> AsyncIterator[FakeApi]:
    settings = Settings(api=ApiSettings(bootstrap_key_file=tmp_path / "state" / "bootstrap.key"))
    async with fake_api(settings) as api:
        api.directory.entries.clear()
        yield api


def key_file(api: FakeApi) -> Path:
    return api.runtime.settings.api.bootstrap_key_file


async def read(api: FakeApi, path: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key_file(api).read_text().strip()}"}
    return await api.client.get(path, headers=headers)


async def test_the_key_in_the_file_administers_the_first_tenant(fresh: FakeApi) -> None:
    await bootstrap(fresh.runtime)
    assert stat.S_IMODE(key_file(fresh).stat().st_mode) == 0o600
    assert (await read(fresh, "/v1/directory/users/admin")).status_code == 200
    assert (await read(fresh, "/v1/directory/tenants/default")).status_code == 200
    assert (await read(fresh, "/v1/directory/sources/api")).json()["record"]["knowledge_base"] == "default"


async def test_it_happens_once(fresh: FakeApi) -> None:
    await bootstrap(fresh.runtime)
    sent, key = list(fresh.log.events), key_file(fresh).read_text()
    await bootstrap(fresh.runtime)
    assert fresh.log.events == sent
    key_file(fresh).unlink()  # read by the administrator, and put away
    await bootstrap(fresh.runtime)
    assert fresh.log.events == sent
    assert not key_file(fresh).exists()
    assert key


async def test_two_replicas_starting_at_once_make_one_key(fresh: FakeApi) -> None:
    await asyncio.gather(bootstrap(fresh.runtime), bootstrap(replace(fresh.runtime)))
    keys = [entry for key, entry in fresh.directory.entries.items() if key[1] is DirectoryKind.API_KEY]
    assert len(keys) == 1
    assert all(entry.revision == 1 for entry in fresh.directory.entries.values())
    assert (await read(fresh, "/v1/keys")).status_code == 200


async def test_cut_off_halfway_it_is_finished_by_the_next_start(fresh: FakeApi) -> None:
    write_once(key_file(fresh), new_key(DEFAULT).text())
    for command in list(module._commands(fresh.runtime, module._bootstrap_key(fresh.runtime)))[:2]:
        await fresh.log.send(command)
    await bootstrap(fresh.runtime)
    assert (await read(fresh, "/v1/keys")).status_code == 200
    assert len([entry for key, entry in fresh.directory.entries.items() if key[1] is DirectoryKind.API_KEY]) == 1


async def test_it_waits_until_the_replica_is_current(fresh: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """A replica that is behind would take an old installation for a new one."""
    monkeypatch.setattr(module, "_LOOK_EVERY_S", 0.001)
    fresh.heads.lag_s = 3_600
    starting = asyncio.create_task(bootstrap(fresh.runtime))
    for _ in range(5):
        await asyncio.sleep(0)
    assert fresh.log.sent(DirectorySubmitted) == []
    assert not key_file(fresh).exists()
    fresh.heads.lag_s = 0
    await asyncio.wait_for(starting, timeout=5)
    assert (await read(fresh, "/v1/keys")).status_code == 200


async def test_a_file_with_something_else_in_it_stops_the_start(fresh: FakeApi) -> None:
    write_once(key_file(fresh), "my shopping list")
    with pytest.raises(FatalError, match="HEADWATER_API__BOOTSTRAP_KEY_FILE"):
        await bootstrap(fresh.runtime)
