"""A tenant whose documents are all broken."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import SecretStr

from headwater.cli.api_client import open_api
from headwater.clients.blobs import ObjectBlobStore
from headwater.clients.kafka.config import topic_of
from headwater.clients.kafka.producer import EventProducer
from headwater.clients.kafka.records import Outgoing
from schemas.codec import encode
from schemas.events.documents import BlobRef, DocumentState
from schemas.ids import KnowledgeBaseId, SourceId, TenantId, document_key
from schemas.topics import Topic
from tests.support.heads import FOR_ALL, put
from tests.support.platform import Platform

BROKEN_PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\nthis was a PDF once\n"
SHELF = "broken"  # its only source and its only knowledge base


@dataclass(frozen=True, slots=True, kw_only=True)
class Poisoner:
    """Submits files that nobody can read."""

    platform: Platform
    tenant: TenantId

    def submit(self, first: int, count: int) -> None:
        """Submit so many broken files as fast as the broker takes them; each is another document."""
        asyncio.run(self._submit(range(first, first + count)))

    async def _submit(self, numbers: range) -> None:
        settings = self.platform.settings
        content = await ObjectBlobStore(settings.blobs).write(self.tenant, _once(BROKEN_PDF))
        async with EventProducer.open(settings, client_id="poisoner") as producer:
            await producer.send_many([self._record(number, content) for number in numbers])

    def _record(self, number: int, content: BlobRef) -> Outgoing:
        name = f"broken-{number}.pdf"
        event = put(
            DocumentState(
                knowledge_base=KnowledgeBaseId(SHELF),
                title=name,
                media_type="application/pdf",
                content=content,
                access=FOR_ALL,
            ),
            name,
            tenant_id=self.tenant,
            source=SourceId(SHELF),
            observed_at=datetime.now(UTC),
        )
        topic = topic_of(self.platform.settings, Topic.DOCUMENTS_SUBMITTED)
        return Outgoing(topic=topic, key=document_key(event.tenant_id, event.document_id), value=encode(event))


def open_poisoner(platform: Platform, tenant: TenantId) -> Poisoner:
    """Create the tenant, its knowledge base and its source."""
    made = platform.admin.call("PUT", f"/directory/tenants/{tenant}", json={"name": "Broken files"})
    path = f"/directory/tenants/{tenant}/administrator"
    key = platform.admin.call("POST", path, json={}, params={"after": made["token"]})["key"]
    with open_api(platform.settings.api.model_copy(update={"key": SecretStr(key)})) as owner:
        made = owner.call("PUT", f"/directory/knowledge-bases/{SHELF}", json={"name": SHELF})
        source = {"name": SHELF, "kind": "api", "knowledge_base": SHELF}
        made = owner.call("PUT", f"/directory/sources/{SHELF}", json=source, params={"after": made["token"]})
        owner.call("GET", "/directory/users", params={"after": made["token"]})
    return Poisoner(platform=platform, tenant=tenant)


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
