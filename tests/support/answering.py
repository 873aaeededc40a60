"""The API on fakes with documents in both stores: what search and answers are tested with."""

import hashlib
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from headwater.access.clauses import row_readers
from headwater.errors import RetryableError
from headwater.ports.heads import Head
from headwater.ports.models import AnswerDelta, EmbeddingModel, GeneratedAnswer
from headwater.ports.rows import ChunkRow, Scope, StoreHit, Vector
from headwater.settings import Settings
from query_api.runtime import Models, Stores
from schemas.events.base import Lane, Store
from schemas.events.documents import NOBODY, Access, Clause, DocumentOp
from schemas.ids import (
    EVERYONE,
    DocumentId,
    GenerationName,
    KnowledgeBaseId,
    Principal,
    Revision,
    SourceId,
    TenantId,
    document_id,
    row_id,
)
from tests.support.api import ACME, FakeApi, fake_api
from tests.support.models import OneModel
from tests.support.rows import chunk_row
from tests.support.stores import FakeKeywordIndex, FakeVectorIndex

G1 = GenerationName("g1")
HANDBOOK = KnowledgeBaseId("handbook")
ALL_STAFF = Access(clauses=(Clause(principals=(EVERYONE,)),))
DIMENSION = 256


def for_only(*principals: str) -> Access:
    """Build a rule of one clause."""
    return Access(clauses=(Clause(principals=tuple(map(Principal, principals))),))


class Outage:
    """Makes a fake fail as a dependency that is away."""

    def __init__(self) -> None:
        self.away = False

    def check(self) -> None:
        if self.away:
            raise RetryableError("away")


class WordEmbedder(Outage):
    """A bag of hashed words: texts that share words are near."""

    model = EmbeddingModel(name="words", revision="1", variant="fp32", dimension=DIMENSION, max_tokens=256)

    async def embed(self, texts: Sequence[str], *, lane: Lane) -> NDArray[np.float32]:
        self.check()
        vectors = np.full((len(texts), DIMENSION), 1e-6, np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            for word in re.findall(r"\w+", text.lower()):
                vector[int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big") % DIMENSION] += 1
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


class OverlapReranker(Outage):
    """The share of the query's words that a passage has."""

    async def rerank(self, query: str, passages: Sequence[str]) -> Sequence[float]:
        self.check()
        words = set(query.lower().split())
        return [len(words & set(passage.lower().split())) / len(words) for passage in passages]


class QuotingGenerator(Outage):
    """Quotes its first passage; `seen` are all the passages it was ever given."""

    prompt_version = "1"

    def __init__(self, model: str = "quoting@1") -> None:
        super().__init__()
        self.model = model
        self.calls = 0
        self.seen: list[str] = []

    async def generate(self, question: str, passages: Sequence[str]) -> GeneratedAnswer:
        self.check()
        self.calls += 1
        self.seen.extend(passages)
        answerable = "unanswerable" not in question
        return GeneratedAnswer(
            text=f"{passages[0]} [1]" if answerable else "",
            passages=(0,) if answerable else (),
            answerable=answerable,
            prompt_tokens=10,
            completion_tokens=3,
        )

    async def stream(self, question: str, passages: Sequence[str]) -> AsyncIterator[AnswerDelta]:
        answer = await self.generate(question, passages)
        for word in answer.text.split(" "):
            yield AnswerDelta(text=word + " ", final=None)
        yield AnswerDelta(text="", final=answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweringApi:
    """One replica, its stores and its models."""

    api: FakeApi
    vectors: "FailingVectors"
    keywords: "FailingKeywords"
    embedder: WordEmbedder
    reranker: OverlapReranker
    generator: QuotingGenerator
    extractive: QuotingGenerator

    async def publish(
        self,
        external_id: str,
        *texts: str,
        access: Access = ALL_STAFF,
        tenant: TenantId = ACME,
        stores: Iterable[Store] = tuple(Store),
        knowledge_base: KnowledgeBaseId = HANDBOOK,
    ) -> DocumentId:
        """Write a new revision to the stores and let the replica know that it is complete there."""
        document = document_id(tenant, SourceId("wiki"), external_id)
        before = self.api.heads.head(tenant, document)
        revision = Revision(before.revision + 1 if before else 1)
        first, second = row_readers(access)
        rows = [
            replace(
                chunk_row(tenant=tenant, document=document, revision=revision, ordinal=n, total=len(texts), text=text),
                knowledge_base=knowledge_base,
                title=external_id,
                readers=first,
                readers_second=second,
                row_id=row_id(document, revision, n),
            )
            for n, text in enumerate(texts)
        ]
        await self._write(rows, stores)
        complete = dict(before.complete) if before else {}
        complete.update({(G1, store): revision for store in stores})
        self.set_head(document, access=access, revision=revision, tenant=tenant, knowledge_base=knowledge_base)
        head = self.api.heads.documents[tenant, document]
        self.api.heads.documents[tenant, document] = replace(head, complete=complete)
        return document

    async def _write(self, rows: Sequence[ChunkRow], stores: Iterable[Store]) -> None:
        if Store.VECTORS in stores:
            await self.vectors.upsert(rows, await WordEmbedder().embed([row.text for row in rows], lane=Lane.LIVE))
        if Store.KEYWORDS in stores:
            await self.keywords.upsert(rows)

    def set_head(
        self,
        document: DocumentId,
        *,
        access: Access,
        revision: Revision,
        tenant: TenantId = ACME,
        knowledge_base: KnowledgeBaseId = HANDBOOK,
        op: DocumentOp = DocumentOp.UPSERTED,
    ) -> None:
        """Change what the replica knows of a document, without touching any store."""
        before = self.api.heads.head(tenant, document)
        self.api.heads.documents[tenant, document] = Head(
            tenant_id=tenant,
            document_id=document,
            knowledge_base=knowledge_base,
            source=SourceId("wiki"),
            revision=revision,
            op=op,
            access=access,
            directory_position=self.api.heads.read_of_directory,
            complete=before.complete if before else {},
        )

    def revoke(self, document: DocumentId, access: Access = NOBODY) -> None:
        """Let the replica read a new access rule; the stores know nothing of it."""
        head = self.api.heads.documents[ACME, document]
        self.set_head(document, access=access, revision=Revision(head.revision + 1))

    def delete(self, document: DocumentId) -> None:
        """Let the replica read a deletion; the stores know nothing of it."""
        head = self.api.heads.documents[ACME, document]
        self.set_head(document, access=NOBODY, revision=Revision(head.revision + 1), op=DocumentOp.DELETED)


class FailingVectors(FakeVectorIndex, Outage):
    """Milvus, which may be away."""

    def __init__(self) -> None:
        FakeVectorIndex.__init__(self)
        Outage.__init__(self)

    async def search(self, scope: Scope, vector: Vector, *, limit: int) -> Sequence[StoreHit]:
        self.check()
        return await super().search(scope, vector, limit=limit)

    async def count(self, tenant: TenantId, document: DocumentId, revision: Revision) -> int:
        self.check()
        return await super().count(tenant, document, revision)


class FailingKeywords(FakeKeywordIndex, Outage):
    """Elasticsearch, which may be away."""

    def __init__(self) -> None:
        FakeKeywordIndex.__init__(self)
        Outage.__init__(self)

    async def search(self, scope: Scope, query: str, *, limit: int) -> Sequence[StoreHit]:
        self.check()
        return await super().search(scope, query, limit=limit)

    async def count(self, tenant: TenantId, document: DocumentId, revision: Revision) -> int:
        self.check()
        return await super().count(tenant, document, revision)


class OneGeneration:
    """Generations port: every name has the same stores."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    async def stores(self, generation: GenerationName) -> Stores:
        return self._stores


@asynccontextmanager
async def answering_api(settings: Settings | None = None) -> AsyncIterator[AnsweringApi]:
    """Run one replica with empty stores and models that work."""
    vectors, keywords = FailingVectors(), FailingKeywords()
    embedder, reranker = WordEmbedder(), OverlapReranker()
    generator, extractive = QuotingGenerator(), QuotingGenerator("extractive@1")
    models = Models(embedders=OneModel(embedder), reranker=reranker, generator=generator, extractive=extractive)
    generations = OneGeneration(Stores(vectors=vectors, keywords=keywords))
    async with fake_api(settings, generations=generations, models=models) as api:
        yield AnsweringApi(
            api=api,
            vectors=vectors,
            keywords=keywords,
            embedder=embedder,
            reranker=reranker,
            generator=generator,
            extractive=extractive,
        )
