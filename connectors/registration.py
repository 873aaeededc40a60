"""A source must be in the directory before admission takes its documents."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.config import group_of, topic_of
from headwater.clients.kafka.producer import EventProducer
from headwater.errors import RetryableError
from headwater.settings import Settings
from schemas.events.directory import (
    DirectoryKind,
    DirectoryOp,
    DirectoryRecord,
    DirectorySubmitted,
    KnowledgeBase,
    Source,
)
from schemas.ids import KnowledgeBaseId, Revision, SourceId, TenantId, directory_key
from schemas.topics import Topic

ADMITTED_WITHIN_S = 30.0
POLL_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What a source needs before its first document."""

    tenant: TenantId
    source: SourceId
    kind: str
    knowledge_base: KnowledgeBaseId

    def commands(self) -> Sequence[DirectorySubmitted]:
        """Return directory commands that create what is missing; what exists stays as an administrator left it."""
        source = Source(name=self.source, kind=self.kind, knowledge_base=self.knowledge_base)
        return (
            self._command(DirectoryKind.KNOWLEDGE_BASE, self.knowledge_base, KnowledgeBase(name=self.knowledge_base)),
            self._command(DirectoryKind.SOURCE, self.source, source),
        )

    def _command(self, kind: DirectoryKind, record_id: str, record: DirectoryRecord) -> DirectorySubmitted:
        now = datetime.now(UTC)
        return DirectorySubmitted(
            event_id=uuid4(),
            tenant_id=self.tenant,
            occurred_at=now,
            observed_at=now,
            kind=kind,
            record_id=record_id,
            op=DirectoryOp.PUT,
            record=record,
            expected_revision=Revision(0),  # must not exist yet: else refused, and nothing is overwritten
            actor=None,
        )


async def register(settings: Settings, producer: EventProducer, registration: Registration) -> None:
    """Return when admission has decided on the commands. Raise RetryableError when it does not in time."""
    positions = [
        await producer.send(
            Topic.DIRECTORY_SUBMITTED,
            command,
            key=directory_key(command.tenant_id, command.kind, command.record_id),
        )
        for command in registration.commands()
    ]
    topic = topic_of(settings, Topic.DIRECTORY_SUBMITTED)
    wanted = max(position.offset for position in positions)
    admin, group = KafkaAdmin(settings.kafka), group_of(settings, "admit")
    try:
        async with asyncio.timeout(ADMITTED_WITHIN_S):
            while (await admin.committed_offsets(group, [topic])).get(topic, {}).get(0, 0) <= wanted:  # noqa: ASYNC110 - another process commits
                await asyncio.sleep(POLL_S)
    except TimeoutError as error:
        raise RetryableError(
            f"source {registration.source}: admission has not answered within {ADMITTED_WITHIN_S:.0f} s; "
            "is it running? `headwater status` says"
        ) from error
