"""The receiver of webhooks as a process on a real broker: what it is told becomes a request, and it ends in order."""

import json
import time

import httpx
import pytest

from headwater.clients.kafka.records import Outgoing
from headwater.local.ports import LOOPBACK, free_ports
from schemas.codec import decode
from schemas.events.directory import DirectoryKind
from schemas.events.syncs import SyncMode, SyncRequested
from schemas.ids import directory_key
from schemas.topics import Topic
from tests.support.admission import DEADLINE_S, Installation, until
from tests.support.heads import directory_record
from tests.support.waiting import reached
from tests.support.webhooks import SECRET, WIKI, signed, source

pytestmark = pytest.mark.real

EVENT = b'{"Records": [{"s3": {"bucket": {"name": "papers"}, "object": {"key": "x/a+b.md"}}}]}'


async def test_a_delivery_becomes_a_request_of_its_source(own: Installation) -> None:
    tenant, name = WIKI
    record = directory_record(DirectoryKind.SOURCE, name, source("objects", webhook="env:hook"), tenant=tenant)
    key = directory_key(tenant, DirectoryKind.SOURCE, name)
    await own.producer.send(Topic.DIRECTORY_CHANGED, record, key=key)
    port = free_ports(["webhooks"])["webhooks"]
    environment = {"HEADWATER_SECRET__ACME__HOOK": SECRET, "HEADWATER_WEBHOOKS__PORT": str(port)}
    receiver = own.start(("-m", "connectors", "webhooks"), **environment)
    # Its first line names the public port, a later one the management port: readiness is what it answers.
    async with httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}/hooks/") as client:
        await until(lambda: "receiver_started" in receiver.log)
        answer = None
        while answer is None or answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:  # the directory is being read
            headers = signed(EVENT, at=time.time())
            answer = await client.post(f"{tenant}/{name}", content=EVENT, headers=headers, timeout=30)
        assert (answer.status_code, answer.json()) == (202, {"status": "accepted"})
        repeated = await client.post(f"{tenant}/{name}", content=EVENT, headers=headers)
        assert repeated.json() == {"status": "duplicate"}
        assert (await client.post(f"{tenant}/nobody", content=EVENT, headers=headers)).status_code == 401
    assert receiver.stop() == 0
    assert "receiver_stopped" in receiver.log
    [request] = [decode(each.value or b"", SyncRequested) for each in await own.records(Topic.SYNCS_REQUESTED)]
    assert ((request.tenant_id, request.source), request.mode, request.items) == (WIKI, SyncMode.ITEMS, ("x/a b.md",))


async def test_an_event_on_a_topic_becomes_a_request_of_its_source(own: Installation) -> None:
    tenant, name = WIKI
    record = directory_record(DirectoryKind.SOURCE, name, source("objects"), tenant=tenant)
    await own.producer.send(Topic.DIRECTORY_CHANGED, record, key=directory_key(tenant, DirectoryKind.SOURCE, name))
    topic = f"{own.settings.kafka.topic_prefix}bucket-events"
    await own.admin.create(topic, partitions=1, replication_factor=1, config={})
    try:
        await own.producer.send_many([Outgoing(topic=topic, key=b"x/a+b.md", value=EVENT)])
        environment = {"HEADWATER_WEBHOOKS__PORT": str(free_ports(["webhooks"])["webhooks"])}
        receiver = own.start(
            ("-m", "connectors", "webhooks"),
            HEADWATER_WEBHOOKS__EVENT_TOPICS=json.dumps({topic: tenant}),
            **environment,
        )

        async def asked() -> list[SyncRequested]:
            return [decode(each.value or b"", SyncRequested) for each in await own.records(Topic.SYNCS_REQUESTED)]

        async def has_asked() -> bool:
            return bool(await asked())

        await reached(has_asked, deadline_s=DEADLINE_S, every_s=0.2)
        assert receiver.stop() == 0
        [request] = await asked()
        assert ((request.tenant_id, request.source), request.mode, request.items) == (
            WIKI,
            SyncMode.ITEMS,
            ("x/a b.md",),
        )
    finally:
        await own.admin.delete([topic])
