"""One replica on the real log: first start, writes, reads of one's own writes, revocation."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from unittest.mock import create_autospec
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from headwater.migrations import open_migrator
from headwater.settings import Settings
from query_api.app import create_app
from query_api.bootstrap import bootstrap
from query_api.documents.addresses import encode_external_id
from query_api.opening import open_runtime
from query_api.runtime import Models, Runtime
from schemas.codec import decode
from schemas.events import AuditRecorded
from schemas.events.directory import ApiKey, DirectoryKind
from schemas.ids import TenantId
from schemas.topics import Topic
from tests.support.admission import Installation, installation
from tests.support.stack import RunningStack

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="module")]
EVERYONE = {"clauses": [{"principals": ["everyone"]}]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """A replica, and a client with the bootstrap key."""

    own: Installation
    settings: Settings
    runtime: Runtime
    client: httpx.AsyncClient

    async def call(self, method: str, path: str, *, status: int = 202, **options: object) -> dict[str, object]:
        """Call and expect a status."""
        response = await self.client.request(method, f"/v1{path}", **options)  # type: ignore[arg-type]  # passed on
        assert response.status_code == status, f"{response.text} {self.own.logs()}"
        return dict(response.json())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def replica(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Replica]:
    """Started once: it takes two processes, the topics and the stores' mappings. Each test has its own documents."""
    tmp_path = tmp_path_factory.mktemp("replica")
    async with installation(stack, tmp_path) as own:
        api = own.settings.api.model_copy(
            update={"bootstrap_key_file": tmp_path / "bootstrap.key", "secret_file": tmp_path / "api.secret"}
        )
        stores = f"t{uuid4().hex[:8]}"
        settings = own.settings.model_copy(
            update={
                "api": api,
                "blobs": own.settings.blobs.model_copy(update={"url": f"file:{tmp_path}/blobs"}),
                "elasticsearch": own.settings.elasticsearch.model_copy(update={"index_prefix": stores}),
                "milvus": own.settings.milvus.model_copy(update={"collection_prefix": stores}),
            }
        )
        await own.follower()
        await own.admission()
        async with open_migrator(settings) as migrator:
            await migrator.apply()
            try:
                async with open_runtime(settings, create_autospec(Models, instance=True)) as runtime:
                    await bootstrap(runtime)
                    headers = {"Authorization": f"Bearer {api.bootstrap_key_file.read_text().strip()}"}
                    transport = httpx.ASGITransport(create_app(runtime))
                    async with httpx.AsyncClient(
                        transport=transport, base_url="http://headwater.test", headers=headers
                    ) as client:
                        yield Replica(own=own, settings=settings, runtime=runtime, client=client)
            finally:
                await migrator.rollback(to=0, force=True)


async def test_a_document_from_the_first_write_to_its_deletion(replica: Replica) -> None:
    path = f"/documents/api/{encode_external_id('life')}"
    put = await replica.call("PUT", path, json={"title": "Page", "text": "Some text.", "access": EVERYONE})
    document, after = put["document_id"], {"after": put["token"]}
    shown = await replica.call("GET", f"/documents/{document}", params=after, status=200)
    assert shown["status"] == "pending"
    revision = shown["revision"]

    stale = {"If-Match": str(int(str(revision)) - 1)}
    await replica.call("PATCH", path, json={"title": "New"}, headers=stale, status=412)
    patched = await replica.call("PATCH", path, json={"title": "New"}, headers={"If-Match": str(revision)})
    shown = await replica.call("GET", f"/documents/{document}", params={"after": patched["token"]}, status=200)
    assert int(str(shown["revision"])) > int(str(revision))

    hidden = await replica.call("PUT", f"{path}/access", json={})
    await replica.call("GET", f"/documents/{document}", params={"after": hidden["token"]}, status=404)
    gone = await replica.call("DELETE", path)
    await replica.call("DELETE", path, params={"after": gone["token"]}, status=404)
    states = [state for state in await replica.own.changes() if state.document_id == document]
    assert [(state.op.value, state.title) for state in states] == [
        ("upserted", "Page"),
        ("upserted", "New"),
        ("upserted", "New"),
        ("deleted", ""),
    ]
    assert states[0].content is not None
    assert await replica.runtime.blobs.exists(TenantId("default"), states[0].content)


async def test_the_audit_trail_names_who_asked_and_what_became_of_it(replica: Replica) -> None:
    path = f"/documents/api/{encode_external_id('audit')}"
    put = await replica.call("PUT", path, json={"title": "Page", "text": "x", "access": EVERYONE})
    await replica.call("GET", f"/documents/{put['document_id']}", params={"after": put["token"]}, status=200)
    records = await replica.own.records(Topic.AUDIT_RECORDED)
    entries = [decode(record.value or b"", AuditRecorded) for record in records]
    trail = [entry for entry in entries if entry.resource == f"documents/{put['document_id']}"]
    assert {(entry.actor, entry.action, entry.outcome) for entry in trail} == {
        ("user:admin", "documents.put", "submitted"),
        ("user:admin", "documents.put", "accepted"),
    }


async def test_a_group_that_loses_a_member_hides_its_documents_from_them_at_once(replica: Replica) -> None:
    await replica.call("PUT", "/directory/users/eve", json={"name": "Eve"})
    editors = await replica.call("PUT", "/directory/groups/wiki:editors", json={"name": "E", "members": ["user:eve"]})
    made = await replica.call(
        "POST", "/keys", json={"name": "eve", "user": "eve"}, params={"after": editors["token"]}, status=201
    )
    assert made["applied"]
    rule = {"clauses": [{"principals": ["group:wiki:editors"]}]}
    path = f"/documents/api/{encode_external_id('group')}"
    put = await replica.call("PUT", path, json={"title": "Page", "text": "x", "access": rule})
    eve = {"Authorization": f"Bearer {made['key']}"}
    shown = f"/documents/{put['document_id']}"
    await replica.call("GET", shown, headers=eve, params={"after": put["token"]}, status=200)
    out = await replica.call("PUT", "/directory/groups/wiki:editors", json={"name": "E", "members": []})
    await replica.call("GET", shown, headers=eve, params={"after": out["token"]}, status=404)


async def test_starting_again_changes_nothing(replica: Replica) -> None:
    before = replica.runtime.directory.list(TenantId("default"), DirectoryKind.API_KEY)
    await asyncio.gather(bootstrap(replica.runtime), bootstrap(replica.runtime))
    after = replica.runtime.directory.list(TenantId("default"), DirectoryKind.API_KEY)
    assert [entry.revision for entry in after] == [entry.revision for entry in before]
    assert "bootstrap" in {entry.record.name for entry in after if isinstance(entry.record, ApiKey)}


async def test_the_process_becomes_ready_without_models_serves_and_stops(replica: Replica) -> None:
    public, management = free_port(), free_port()
    settings = replica.settings
    child = replica.own.start(
        ("-m", "query_api"),
        HEADWATER_API__PORT=str(public),
        HEADWATER_API__SECRET_FILE=str(settings.api.secret_file),
        HEADWATER_API__BOOTSTRAP_KEY_FILE=str(settings.api.bootstrap_key_file),
        HEADWATER_MANAGEMENT__PORT=str(management),
        HEADWATER_ELASTICSEARCH__INDEX_PREFIX=settings.elasticsearch.index_prefix,
        HEADWATER_MILVUS__COLLECTION_PREFIX=settings.milvus.collection_prefix,
        HEADWATER_BLOBS__URL=settings.blobs.url,
        HEADWATER_TRITON__URL=f"127.0.0.1:{free_port()}",  # nobody answers there
    )
    async with httpx.AsyncClient(headers=replica.client.headers) as client:
        async with asyncio.timeout(90):
            while not await is_ready(client, f"http://127.0.0.1:{management}/readyz"):
                assert child.process.poll() is None, child.log
                await asyncio.sleep(0.2)
        api = f"http://127.0.0.1:{public}"
        keys = await client.get(f"{api}/v1/keys")
        assert keys.status_code == 200, keys.text
        assert (await client.get(f"{api}/docs")).status_code == 200
        assert "headwater_heads_staleness_seconds" in (await client.get(f"http://127.0.0.1:{management}/metrics")).text
        key = str(replica.client.headers["authorization"]).rsplit("_", 1)[1]
        assert key not in child.log
    assert await asyncio.to_thread(child.stop) == 0, child.log


async def is_ready(client: httpx.AsyncClient, url: str) -> bool:
    """Say whether a management server answers that all is ready."""
    try:
        return (await client.get(url)).status_code == 200
    except httpx.TransportError:
        return False


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
