"""The real stages as processes, on topics, indices and collections of one test's own."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from headwater.clients.blobs import ObjectBlobStore
from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.config import topic_of
from headwater.clients.kafka.producer import EventProducer
from headwater.clients.kafka.topics import create_topics, desired_topics
from headwater.settings import Settings
from schemas.codec import decode
from schemas.events import BlobRef, ChunksPrepared, DocumentChanged, DocumentIngested, DocumentProgressed, EventParked
from schemas.ids import document_key
from schemas.topics import Topic
from tests.support.blobs import pieces_of
from tests.support.events import TENANT
from tests.support.installations import installed_stores
from tests.support.records import read_topic
from tests.support.stack import RunningStack
from tests.support.waiting import reached

E = TypeVar("E", ChunksPrepared, DocumentIngested, DocumentProgressed, EventParked)
_DIMENSION = 384


@dataclass(slots=True, kw_only=True)
class Pipeline:
    """Started stages and what they have said."""

    settings: Settings
    environment: Mapping[str, str]
    folder: Path
    producer: EventProducer
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, *stages: str) -> None:
        """Start one process a stage. Their logs lie in the folder."""
        for stage in stages:
            with (self.folder / f"{stage}.log").open("ab") as log:
                self.workers[stage] = subprocess.Popen(
                    [sys.executable, "-m", "streams", stage], env={**os.environ, **self.environment}, stderr=log
                )

    def stop(self, stage: str, *, by: signal.Signals = signal.SIGTERM) -> int:
        """End a stage and return its exit code."""
        worker = self.workers.pop(stage)
        worker.send_signal(by)
        return worker.wait(30)

    async def store(self, content: bytes) -> BlobRef:
        """Put content where the stages find it."""
        return await ObjectBlobStore(self.settings.blobs).write(TENANT, pieces_of(content))

    async def append(self, *events: DocumentChanged) -> None:
        """Append to the log, as admission does."""
        for event in events:
            await self.producer.send(
                Topic.DOCUMENTS_CHANGED, event, key=document_key(event.tenant_id, event.document_id)
            )

    async def said(self, topic: Topic, kind: type[E]) -> list[E]:
        """Return every event of a topic."""
        name = topic_of(self.settings, topic)
        values = await asyncio.to_thread(read_topic, self.settings.kafka.bootstrap_servers, name)
        return [decode(value, kind) for value in values]

    async def until_ingested(self, external_id: str, revision: int, *, deadline_s: float = 150.0) -> DocumentIngested:
        """Return the public fact of a revision when it is there."""
        found: list[DocumentIngested] = []

        async def is_there() -> bool:
            self.require_alive()
            facts = await self.said(Topic.DOCUMENTS_INGESTED, DocumentIngested)
            found[:] = [each for each in facts if (each.external_id, each.revision) == (external_id, revision)]
            return bool(found)

        await reached(is_there, deadline_s=deadline_s, every_s=0.2)
        return found[0]

    def require_alive(self) -> None:
        """Fail with the log of a stage that has ended."""
        for stage, worker in self.workers.items():
            if worker.poll() is not None:
                log = (self.folder / f"{stage}.log").read_text()[-2000:]
                raise AssertionError(f"{stage} ended with {worker.returncode}: {log}")


@asynccontextmanager
async def open_pipeline(stack: RunningStack, folder: Path) -> AsyncIterator[Pipeline]:
    """Create everything that stages need; end and remove it afterwards."""
    async with installed_stores(stack, dimension=_DIMENSION) as stores:
        prefix = f"t{uuid4().hex[:10]}."
        settings = stores.model_copy(
            update={
                "kafka": stores.kafka.model_copy(update={"topic_prefix": prefix, "partitions": 2}),
                "blobs": stores.blobs.model_copy(update={"url": f"file:{folder / 'blobs'}"}),
            }
        )
        environment = {
            **stack.environment,
            "HEADWATER_KAFKA__TOPIC_PREFIX": prefix,
            "HEADWATER_KAFKA__SESSION_TIMEOUT_S": "6",
            "HEADWATER_ELASTICSEARCH__INDEX_PREFIX": settings.elasticsearch.index_prefix,
            "HEADWATER_MILVUS__COLLECTION_PREFIX": settings.milvus.collection_prefix,
            "HEADWATER_BLOBS__URL": settings.blobs.url,
            "HEADWATER_REDIS__KEY_PREFIX": prefix,
            "HEADWATER_STAGES__DATADIR": str(folder / "workers"),
        }
        await create_topics(settings)
        async with EventProducer.open(settings, client_id="test") as producer:
            pipeline = Pipeline(settings=settings, environment=environment, folder=folder, producer=producer)
            try:
                yield pipeline
            finally:
                for worker in pipeline.workers.values():
                    worker.kill()
                    worker.wait(20)
                await KafkaAdmin(settings.kafka).delete([each.name for each in desired_topics(settings)])
