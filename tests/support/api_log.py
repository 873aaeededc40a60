"""A log in memory: what the API appends is admitted at once, as simply as its tests need it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from headwater.errors import RetryableError
from headwater.ports.heads import DirectoryEntry, Head, Positions
from schemas.events import DirectorySubmitted, DocumentSubmitted, Event, Position, SourceTested, SyncProgressed
from schemas.events.directory import DirectoryKind, DirectoryOp, Group, User
from schemas.events.documents import NOBODY, Access, DeletionQuarantined, DocumentOp, SubmissionOp
from schemas.ids import EVERYONE, DocumentId, GenerationName, KnowledgeBaseId, Principal, Revision, SourceId, TenantId


@dataclass
class FakeClock:
    """Now, moved by hand."""

    time: datetime = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class FakeDirectory:
    """Directory port in memory."""

    def __init__(self) -> None:
        self.entries: dict[tuple[TenantId, DirectoryKind, str], DirectoryEntry] = {}
        self.generation: GenerationName | None = GenerationName("g1")

    def get(self, tenant: TenantId, kind: DirectoryKind, record_id: str) -> DirectoryEntry | None:
        return self.entries.get((tenant, kind, record_id))

    def list(self, tenant: TenantId, kind: DirectoryKind) -> Sequence[DirectoryEntry]:
        return [entry for key, entry in sorted(self.entries.items()) if key[:2] == (tenant, kind)]

    def principals(self, tenant: TenantId, user: str) -> frozenset[Principal]:
        entry = self.get(tenant, DirectoryKind.USER, user)
        if entry is None or not isinstance(entry.record, User):
            return frozenset()
        held = {Principal(f"user:{user}")} | ({EVERYONE} if not entry.record.guest else set())
        groups = self.list(tenant, DirectoryKind.GROUP)
        while (
            new := {
                Principal(f"group:{group.record_id}")
                for group in groups
                if isinstance(group.record, Group) and not held.isdisjoint(group.record.members)
            }
            - held
        ):
            held |= new
        return frozenset(held)

    def serving_generation(self) -> GenerationName | None:
        return self.generation


class FakeHeads:
    """Heads port in memory; `lag_s` is how far the replica is behind."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.lag_s = 0.0
        self.documents: dict[tuple[TenantId, DocumentId], Head] = {}
        self.read_of_directory = 0

    def head(self, tenant: TenantId, document: DocumentId) -> Head | None:
        return self.documents.get((tenant, document))

    def heads(self, tenant: TenantId, documents: Sequence[DocumentId]) -> Mapping[DocumentId, Head]:
        return {head.document_id: head for d in documents if (head := self.head(tenant, d)) is not None}

    def applied(self) -> Positions:
        return {}

    def directory_position(self) -> int:
        return self.read_of_directory

    def as_of(self) -> datetime:
        return self._clock() - timedelta(seconds=self.lag_s)


class FakeOriginals:
    """Originals port in memory: what is not in it has expired."""

    def __init__(self) -> None:
        self.values: dict[Position, bytes] = {}

    async def read(self, position: Position) -> bytes | None:
        return self.values.get(position)


class FakeQuarantine:
    """Quarantine port in memory."""

    def __init__(self) -> None:
        self.events: list[DeletionQuarantined] = []

    async def waiting(self, tenant: TenantId, source: SourceId) -> Sequence[DeletionQuarantined]:
        return [each for each in self.events if (each.tenant_id, each.source) == (tenant, source)]


class FakeSyncStates:
    """SyncStates port in memory."""

    def __init__(self) -> None:
        self.newest_of: dict[tuple[TenantId, SourceId], SyncProgressed] = {}
        self.tests: dict[tuple[TenantId, SourceId], SourceTested] = {}

    async def newest(self, tenant: TenantId, source: SourceId) -> SyncProgressed | None:
        return self.newest_of.get((tenant, source))

    async def newest_test(self, tenant: TenantId, source: SourceId) -> SourceTested | None:
        return self.tests.get((tenant, source))

    async def all(self, tenant: TenantId) -> Sequence[SyncProgressed]:
        return [event for key, event in sorted(self.newest_of.items()) if key[0] == tenant]


@dataclass
class FakeLog:
    """EventSink and Applied: appends, and admits unless `held`."""

    clock: FakeClock
    directory: FakeDirectory
    heads: FakeHeads
    events: list[Event] = field(default_factory=list)
    held: bool = False  # admission is away: nothing becomes true
    away: bool = False  # the broker is away

    async def send(self, event: Event) -> Position:
        if self.away:
            raise RetryableError("kafka: no answer")
        self.events.append(event)
        if isinstance(event, DirectorySubmitted) and not self.held:
            self._admit_record(event)
        if isinstance(event, DocumentSubmitted) and not self.held:
            self._admit_document(event)
        return Position(topic=event.topic.value, partition=0, offset=len(self.events) - 1)

    async def wait(self, positions: Positions, *, timeout_s: float) -> None:
        if self.held:
            raise RetryableError(f"not applied within {timeout_s:g} s")

    def sent(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]

    def _admit_record(self, event: DirectorySubmitted) -> None:
        key = (event.tenant_id, event.kind, event.record_id)
        current = self.directory.entries.get(key)
        if event.expected_revision is not None and event.expected_revision != (current.revision if current else 0):
            return
        self.heads.read_of_directory += 1
        if event.op is DirectoryOp.DELETE or event.record is None:
            self.directory.entries.pop(key, None)
            return
        self.directory.entries[key] = DirectoryEntry(
            tenant_id=event.tenant_id,
            kind=event.kind,
            record_id=event.record_id,
            revision=Revision(current.revision + 1 if current else 1),
            record=event.record,
        )

    def _admit_document(self, event: DocumentSubmitted) -> None:
        current = self.heads.documents.get((event.tenant_id, event.document_id))
        revision = Revision(current.revision + 1 if current else 1)
        if event.op is SubmissionOp.RERUN:
            if current is not None and current.revision == event.expected_revision:
                self.heads.documents[event.tenant_id, event.document_id] = replace(current, revision=revision)
            return
        if event.expected_revision is not None and event.expected_revision != (current.revision if current else 0):
            return
        knowledge_base = current.knowledge_base if current else KnowledgeBaseId("")
        access: Access = current.access if current else NOBODY
        if event.state is not None:
            knowledge_base, access = event.state.knowledge_base, event.state.access
        if event.patch is not None:
            knowledge_base = event.patch.knowledge_base or knowledge_base
            access = event.patch.access or access
        deleted = event.op is SubmissionOp.DELETE
        self.heads.documents[event.tenant_id, event.document_id] = Head(
            tenant_id=event.tenant_id,
            document_id=event.document_id,
            knowledge_base=knowledge_base,
            source=event.source,
            revision=revision,
            op=DocumentOp.DELETED if deleted else DocumentOp.UPSERTED,
            access=NOBODY if deleted else access,
            directory_position=self.heads.read_of_directory,
        )
