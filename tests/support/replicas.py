"""Replicas of the API that follow one log, each as far as it has come; stores, caches and read model are shared."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

import httpx

from headwater.access.clauses import row_readers
from headwater.ports.heads import DirectoryEntry, Head
from query_api.credentials import ServerSecret, new_key
from query_api.runtime import Models, Stores
from schemas.events.base import Lane, Position, Store
from schemas.events.directory import ApiKey, DirectoryKind, DirectoryRecord, KnowledgeBase, Source, Tenant, User
from schemas.events.documents import NOBODY, Access, DocumentOp
from schemas.ids import SYSTEM_TENANT, DocumentId, Revision, SourceId, TenantId, document_id, row_id
from tests.support.answering import (
    G1,
    HANDBOOK,
    FailingKeywords,
    FailingVectors,
    OneGeneration,
    OverlapReranker,
    QuotingGenerator,
    WordEmbedder,
)
from tests.support.api import ACME, fake_api
from tests.support.api_log import FakeClock, FakeDirectory, FakeHeads
from tests.support.cache import FakeCache
from tests.support.heads import changed
from tests.support.models import OneModel
from tests.support.read_model import FakeDocuments
from tests.support.rows import chunk_row

WIKI = SourceId("wiki")
Apply: TypeAlias = Callable[["Follower"], None]


class Part(StrEnum):
    """A topic that replicas follow: each in its order, none in step with another."""

    DOCUMENTS = "documents"
    PROGRESS = "progress"
    DIRECTORY = "directory"


@dataclass
class AdmittedLog:
    """All that was admitted, and when."""

    clock: FakeClock
    entries: dict[Part, list[tuple[datetime, Apply]]] = field(default_factory=lambda: {part: [] for part in Part})

    def append(self, part: Part, apply: Apply) -> None:
        """Append what a replica does when it reads this."""
        self.entries[part].append((self.clock(), apply))


class Follower(FakeHeads):
    """Heads and directory as of what one replica has read."""

    def __init__(self, log: AdmittedLog) -> None:
        super().__init__(log.clock)
        self.log = log
        self.directory = FakeDirectory()
        self.complete: dict[tuple[DocumentId, Store], Revision] = {}
        self.read = dict.fromkeys(Part, 0)

    def follow(self, part: Part, count: int) -> None:
        """Read so many entries more, as far as there are."""
        begin = self.read[part]
        for _, apply in self.log.entries[part][begin : begin + count]:
            apply(self)
            self.read[part] += 1
        self.read_of_directory = self.read[Part.DIRECTORY]

    def catch_up(self) -> None:
        """Read everything."""
        for part, entries in self.log.entries.items():
            self.follow(part, len(entries))

    def head(self, tenant: TenantId, document: DocumentId) -> Head | None:
        head = super().head(tenant, document)
        complete = {(G1, store): revision for (of, store), revision in self.complete.items() if of == document}
        return None if head is None else replace(head, complete=complete)

    def as_of(self) -> datetime:
        """Return when the oldest entry was appended that was not read: just before it everything had been."""
        unread = (entries[self.read[part] :] for part, entries in self.log.entries.items())
        return min((entries[0][0] for entries in unread if entries), default=self.log.clock())


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One process of the API, and the models that it asks."""

    follower: Follower
    client: httpx.AsyncClient
    reranker: OverlapReranker
    generator: QuotingGenerator


@dataclass(kw_only=True)
class Replicas:
    """The log, what its stages have made of it, and the processes that answer from that."""

    log: AdmittedLog
    vectors: FailingVectors
    keywords: FailingKeywords
    embedder: WordEmbedder
    documents: FakeDocuments
    secret: ServerSecret
    running: Sequence[Replica] = ()

    def put(self, kind: DirectoryKind, record_id: str, record: DirectoryRecord | None, tenant: TenantId = ACME) -> None:
        """Append a directory record; None deletes it."""
        revision = Revision(len(self.log.entries[Part.DIRECTORY]) + 1)

        def apply(follower: Follower) -> None:
            key = (tenant, kind, record_id)
            follower.directory.entries.pop(key, None)
            if record is not None:
                follower.directory.entries[key] = DirectoryEntry(
                    tenant_id=tenant, kind=kind, record_id=record_id, revision=revision, record=record
                )

        self.log.append(Part.DIRECTORY, apply)

    def key(self, user: str, *, guest: bool) -> dict[str, str]:
        """Make a user with a key that may only read; return the header to send."""
        key = new_key(ACME)
        hash_ = self.secret.hash_key(key)
        self.put(DirectoryKind.USER, user, User(name=user, guest=guest))
        record = ApiKey(name=user, hash=hash_, user=user, scopes=("read",), created_at=self.log.clock())
        self.put(DirectoryKind.API_KEY, key.key_id, record)
        return {"Authorization": f"Bearer {key.text()}"}

    async def write(
        self, name: str, revision: Revision, access: Access, *, text: str | None, stores: Sequence[Store] = ()
    ) -> None:
        """Append a revision. With a text it is upserted under this title, and written to these stores; else deleted."""
        document = document_id(ACME, WIKI, name)
        record = changed(
            document,
            source=WIKI,
            external_id=name,
            revision=revision,
            op=DocumentOp.DELETED if text is None else DocumentOp.UPSERTED,
            access=NOBODY if text is None else access,
            title=text or name,
            admitted_at=self.log.clock(),
            directory_position=len(self.log.entries[Part.DIRECTORY]),
        )
        head = Head(
            tenant_id=ACME,
            document_id=document,
            knowledge_base=HANDBOOK,
            source=WIKI,
            revision=revision,
            op=record.op,
            access=record.access,
            directory_position=record.directory_position,
        )
        self.log.append(Part.DOCUMENTS, lambda follower: follower.documents.update({(ACME, document): head}))
        at = Position(topic=record.topic.value, partition=0, offset=len(self.log.entries[Part.DOCUMENTS]))
        await self.documents.record_states([(record, at)])
        if text is not None:
            await self._index(document, revision, access, text, stores)

    async def _index(
        self, document: DocumentId, revision: Revision, access: Access, text: str, stores: Sequence[Store]
    ) -> None:
        first, second = row_readers(access)
        row = replace(
            chunk_row(document=document, revision=revision, ordinal=0, total=1, text=text),
            knowledge_base=HANDBOOK,
            readers=first,
            readers_second=second,
            row_id=row_id(document, revision, 0),
        )
        if Store.VECTORS in stores:
            await self.vectors.upsert([row], await WordEmbedder().embed([text], lane=Lane.LIVE))
        if Store.KEYWORDS in stores:
            await self.keywords.upsert([row])
        complete = dict.fromkeys(((document, store) for store in stores), revision)
        self.log.append(Part.PROGRESS, lambda follower: follower.complete.update(complete))


@asynccontextmanager
async def running_replicas(count: int) -> AsyncIterator[Replicas]:
    """Run replicas that have read the tenant, its knowledge base and its source."""
    log, secret = AdmittedLog(FakeClock()), ServerSecret(b"s" * 32)
    shared = Replicas(
        log=log,
        vectors=FailingVectors(),
        keywords=FailingKeywords(),
        embedder=WordEmbedder(),
        documents=FakeDocuments(),
        secret=secret,
    )
    shared.put(DirectoryKind.TENANT, ACME, Tenant(name=ACME), tenant=SYSTEM_TENANT)
    shared.put(DirectoryKind.KNOWLEDGE_BASE, HANDBOOK, KnowledgeBase(name="Handbook"))
    shared.put(DirectoryKind.SOURCE, WIKI, Source(name="Wiki", kind="api", knowledge_base=HANDBOOK))
    cache = FakeCache()
    async with AsyncExitStack() as stack:
        running = []
        for _ in range(count):
            follower, reranker, generator = Follower(log), OverlapReranker(), QuotingGenerator()
            follower.catch_up()
            models = Models(embedders=OneModel(shared.embedder), reranker=reranker, generator=generator)
            api = await stack.enter_async_context(
                fake_api(
                    heads=follower,
                    directory=follower.directory,
                    documents=shared.documents,
                    cache=cache,
                    generations=OneGeneration(Stores(vectors=shared.vectors, keywords=shared.keywords)),
                    models=models,
                    secret=secret,
                    now=log.clock,
                )
            )
            running.append(Replica(follower=follower, client=api.client, reranker=reranker, generator=generator))
        shared.running = running
        yield shared
