"""Other tenants than the API's own: their directory records and their backfills, straight to the log."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

from headwater.clients.blobs import ObjectBlobStore
from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.config import group_of, topic_of
from headwater.clients.kafka.producer import EventProducer
from headwater.errors import FatalError
from headwater.settings import Settings
from schemas.codec import decode
from schemas.events.base import Lane, Position
from schemas.events.directory import DirectoryKind, KnowledgeBase, Source, Tenant
from schemas.events.documents import DocumentIngested
from schemas.ids import SYSTEM_TENANT, TenantId, directory_key, document_id, document_key
from schemas.topics import Topic
from tests.performance.bench import PATIENCE_S
from tests.support.heads import FILES, HANDBOOK, command, put, state
from tests.support.records import read_topic

_AT_ONCE = 200
_POLL_S = 0.2
_WORDS = 100  # a document is one chunk


def new_tenant(settings: Settings, name: str) -> TenantId:
    """Create a tenant with a knowledge base and a source; return when admission knows them."""
    tenant = TenantId(f"{name}-{secrets.token_hex(3)}")
    asyncio.run(_create(settings, tenant))
    return tenant


def backfill(settings: Settings, tenant: TenantId, documents: int) -> None:
    """Submit documents of one chunk each, no two alike, on the backfill lane; return when the log holds them."""
    asyncio.run(_backfill(settings, tenant, documents))


def ingested(settings: Settings, tenant: TenantId) -> Sequence[datetime]:
    """Return when each of a tenant's documents became searchable in both stores, in order of time."""
    topic = topic_of(settings, Topic.DOCUMENTS_INGESTED)
    events = (decode(value, DocumentIngested) for value in read_topic(settings.kafka.bootstrap_servers, topic))
    return sorted(
        max(each.searchable_by_words_at, each.searchable_by_meaning_at) for each in events if each.tenant_id == tenant
    )


async def _create(settings: Settings, tenant: TenantId) -> None:
    commands = (
        command(DirectoryKind.TENANT, tenant, Tenant(name=tenant), tenant=SYSTEM_TENANT),
        command(DirectoryKind.KNOWLEDGE_BASE, HANDBOOK, KnowledgeBase(name="Pages"), tenant=tenant),
        command(
            DirectoryKind.SOURCE, FILES, Source(name="Files", kind="files", knowledge_base=HANDBOOK), tenant=tenant
        ),
    )
    async with EventProducer.open(settings, client_id="bench") as producer:
        for each in commands:
            key = directory_key(each.tenant_id, each.kind.value, each.record_id)
            position = await producer.send(Topic.DIRECTORY_SUBMITTED, each, key=key)
    await _settled(settings, position)


async def _settled(settings: Settings, position: Position) -> None:
    admin, group = KafkaAdmin(settings.kafka), group_of(settings, "admit")
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        committed = await admin.committed_offsets(group, {position.topic})
        if committed[position.topic].get(position.partition, 0) > position.offset:
            return
        await asyncio.sleep(_POLL_S)
    raise FatalError(f"admission has not settled a directory command within {PATIENCE_S:.0f} s: see its log")


async def _backfill(settings: Settings, tenant: TenantId, documents: int) -> None:
    blobs = ObjectBlobStore(settings.blobs)
    async with EventProducer.open(settings, client_id="bench") as producer:

        async def submit(number: int) -> None:
            name, now = f"page-{number}.md", datetime.now(UTC)
            content = await blobs.write(tenant, _text())
            event = put(
                state(name, content=content, media_type="text/markdown"),
                name,
                tenant_id=tenant,
                lane=Lane.BACKFILL,
                occurred_at=now,
                observed_at=now,
            )
            key = document_key(tenant, document_id(tenant, FILES, name))
            await producer.send(Topic.DOCUMENTS_BACKFILL, event, key=key)

        for first in range(0, documents, _AT_ONCE):
            await asyncio.gather(*(submit(number) for number in range(first, min(first + _AT_ONCE, documents))))


async def _text() -> AsyncIterator[bytes]:
    yield " ".join(secrets.token_hex(2) for _ in range(_WORDS)).encode()
