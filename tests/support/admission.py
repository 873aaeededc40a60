"""An installation of one test's own on the real broker: topics, folder, admission and follower processes."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.config import topic_of
from headwater.clients.kafka.consumer import RecordStream, from_beginning
from headwater.clients.kafka.producer import EventProducer
from headwater.clients.kafka.records import PartitionEnd, Record
from headwater.clients.kafka.topics import create_topics, desired_topics
from headwater.heads.ends import ask_ends
from headwater.heads.view import LmdbHeads
from headwater.heads.waiting import AppliedPositions
from headwater.settings import Settings
from schemas.codec import decode
from schemas.events.base import Lane, Position
from schemas.events.directory import DirectoryKind, DirectorySubmitted, KnowledgeBase, Source, Tenant
from schemas.events.documents import DocumentChanged, DocumentSubmitted
from schemas.events.parked import EventParked
from schemas.events.queries import AuditRecorded
from schemas.ids import SYSTEM_TENANT, directory_key, document_id, document_key
from schemas.topics import Topic
from tests.support.heads import ACME, FILES, HANDBOOK, command
from tests.support.stack import RunningStack

ADMIT = ("-m", "streams", "admit")
FOLLOW = ("-m", "headwater.heads")
DEADLINE_S = 40.0


@dataclass(slots=True, kw_only=True)
class Child:
    """A process of ours."""

    process: subprocess.Popen[bytes]
    log_file: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def port(self) -> int | None:
        """Its management port, once it has said so."""
        for line in self.log.splitlines():
            if line.startswith("{") and (port := json.loads(line).get("port")):
                return int(port)
        return None

    def is_ready(self) -> bool:
        """Whether /readyz says so."""
        assert self.process.poll() is None, self.log
        port = self.port()
        if port is None:
            return False
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:  # urllib's errors too: it says no, or one that was woken a moment ago ends the connection
            return False

    def stop(self) -> int:
        """SIGTERM, and how it ended."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait(20)


@dataclass(slots=True, kw_only=True)
class Installation:
    """What a test works with."""

    settings: Settings
    environment: Mapping[str, str]
    folder: Path
    producer: EventProducer
    admin: KafkaAdmin
    children: list[Child] = field(default_factory=list)

    def start(self, arguments: tuple[str, ...], **environment: str) -> Child:
        """Start a process with its log in the folder."""
        log_file = self.folder / f"child-{len(self.children)}.log"
        with log_file.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, *arguments], env={**os.environ, **self.environment, **environment}, stderr=log
            )
        child = Child(process=process, log_file=log_file)
        self.children.append(child)
        return child

    async def admission(self, slot: int = 0, **environment: str) -> Child:
        """Start an admission worker; return when it owns its partitions."""
        child = self.start(ADMIT, HEADWATER_STAGES__SLOT=str(slot), **environment)
        await until(child.is_ready)
        return child

    async def follower(self, **environment: str) -> Child:
        """Start a follower; return when it is current."""
        child = self.start(FOLLOW, **environment)
        await until(child.is_ready)
        return child

    async def submit(self, *events: DocumentSubmitted) -> list[Position]:
        """Submit documents, side by side; return where they lie."""
        return list(await asyncio.gather(*(self._submit(event) for event in events)))

    async def _submit(self, event: DocumentSubmitted) -> Position:
        topic = Topic.DOCUMENTS_BACKFILL if event.lane is Lane.BACKFILL else Topic.DOCUMENTS_SUBMITTED
        return await self.producer.send(topic, event, key=document_key(event.tenant_id, event.document_id))

    async def direct(self, *commands: DirectorySubmitted) -> list[Position]:
        """Submit directory commands in order; return where they lie."""
        return [
            await self.producer.send(
                Topic.DIRECTORY_SUBMITTED, each, key=directory_key(each.tenant_id, each.kind.value, each.record_id)
            )
            for each in commands
        ]

    async def settle_in(self) -> None:
        """Create the tenant, its knowledge base and its source; return when admission has."""
        positions = await self.direct(
            command(DirectoryKind.TENANT, ACME, Tenant(name="Acme"), tenant=SYSTEM_TENANT),
            command(DirectoryKind.KNOWLEDGE_BASE, HANDBOOK, KnowledgeBase(name="Handbook")),
            command(DirectoryKind.SOURCE, FILES, Source(name="Files", kind="filesystem", knowledge_base=HANDBOOK)),
        )
        await self.settled(*positions)

    async def settled(self, *positions: Position, deadline_s: float = DEADLINE_S) -> None:
        """Wait until admission has committed past these submissions."""
        group = f"{self.settings.kafka.topic_prefix}headwater-admit"
        end = time.monotonic() + deadline_s
        while True:
            committed = await self.admin.committed_offsets(group, {each.topic for each in positions})
            if all(committed[each.topic].get(each.partition, 0) > each.offset for each in positions):
                return
            assert time.monotonic() < end, f"not settled within {deadline_s} s: {positions} {self.logs()}"
            await asyncio.sleep(0.02)

    async def records(self, topic: Topic, *, settled: bool = False) -> list[Record]:
        """Return all committed records of a topic; with `settled`, those too that were being committed when it began.

        Who committed knows before every partition does: in some, what is settled looks open for a moment.
        """
        name = topic_of(self.settings, topic)
        partitions = await self.admin.partition_count(name)
        start = from_beginning({name: partitions})
        asked = {name: range(partitions)} if settled else {}
        ends = await ask_ends(self.admin, asked, transactional={name}, open_too=True)
        found: list[Record] = []
        read: dict[int, int] = {}
        async with RecordStream.assign_all(self.settings.kafka, start, client_id=f"reader-{uuid4().hex[:6]}") as stream:
            while len(read) < partitions or not ends.reached({name: read}):
                for item in await stream.read():
                    if isinstance(item, PartitionEnd):
                        read[item.position.partition] = item.position.offset
                    else:
                        found.append(item)
        return found

    async def changes(self, *external_ids: str) -> list[DocumentChanged]:
        """Return the log, of these documents or of all, in order within each partition."""
        found = await self.records(Topic.DOCUMENTS_CHANGED, settled=True)
        log = [decode(each.value or b"", DocumentChanged) for each in found]
        return [each for each in log if not external_ids or each.external_id in external_ids]

    async def audit(self, *external_ids: str) -> list[tuple[str, str]]:
        """Return action and outcome of what the audit trail says of these documents, sorted."""
        resources = {f"documents/{document_id(ACME, FILES, each)}" for each in external_ids}
        trail = [decode(each.value or b"", AuditRecorded) for each in await self.records(Topic.AUDIT_RECORDED)]
        return sorted((each.action, each.outcome) for each in trail if each.resource in resources)

    async def letters(self) -> list[EventParked]:
        """Return the dead letters."""
        return [decode(each.value or b"", EventParked) for each in await self.records(Topic.EVENTS_PARKED)]

    def heads(self) -> LmdbHeads:
        """Look at the replica, as an API process does."""
        return LmdbHeads(self.settings)

    async def applied(self, heads: LmdbHeads, *positions: Position, timeout_s: float = DEADLINE_S) -> None:
        """Wait as a caller with a token does."""
        token: dict[str, dict[int, int]] = {}
        for each in positions:
            by_partition = token.setdefault(each.topic, {})
            by_partition[each.partition] = max(each.offset, by_partition.get(each.partition, 0))
        await AppliedPositions(self.settings, self.admin, heads).wait(token, timeout_s=timeout_s)

    def logs(self) -> str:
        """What the processes have said."""
        return "\n".join(f"--- {child.log_file.name}\n{child.log[-3000:]}" for child in self.children)


@asynccontextmanager
async def installation(stack: RunningStack, folder: Path, *, partitions: int = 2) -> AsyncIterator[Installation]:
    """Create the topics of one test; stop its processes and remove the topics afterwards."""
    prefix = f"t{uuid4().hex[:10]}."
    kafka = {"topic_prefix": prefix, "partitions": partitions, "session_timeout_s": 6}
    settings = stack.settings.model_copy(
        update={
            "kafka": stack.settings.kafka.model_copy(update=kafka),
            "heads": stack.settings.heads.model_copy(update={"folder": folder / "heads", "map_size_bytes": 2**28}),
        }
    )
    environment = {
        **stack.environment,
        "HEADWATER_KAFKA__TOPIC_PREFIX": prefix,
        "HEADWATER_KAFKA__PARTITIONS": str(partitions),
        "HEADWATER_KAFKA__SESSION_TIMEOUT_S": "6",
        "HEADWATER_HEADS__FOLDER": str(folder / "heads"),
        "HEADWATER_HEADS__MAP_SIZE_BYTES": str(2**28),
        "HEADWATER_MANAGEMENT__PORT": "0",
    }
    await create_topics(settings)
    admin = KafkaAdmin(settings.kafka)
    async with EventProducer.open(settings, client_id="test") as producer:
        own = Installation(settings=settings, environment=environment, folder=folder, producer=producer, admin=admin)
        try:
            yield own
        finally:
            for child in own.children:
                if child.process.poll() is None:
                    child.process.send_signal(signal.SIGCONT)
                    child.kill()
            await admin.delete([each.name for each in desired_topics(settings)])


async def until(condition: Callable[[], bool], *, deadline_s: float = DEADLINE_S) -> None:
    """Await a condition that another process brings about."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"not within {deadline_s} s"
        await asyncio.sleep(0.02)
