"""Everything the API holds while it runs, opened once."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from headwater.ports.archive import SourceLog
from headwater.ports.backlogs import Backlogs
from headwater.ports.blobs import BlobStore
from headwater.ports.cache import Cache
from headwater.ports.consistency import ConsistencyReports
from headwater.ports.freshness import FreshnessReadModel, Lags
from headwater.ports.heads import Directory, Heads, Positions
from headwater.ports.models import Embedder, EmbeddingNeed, Generator, Reranker
from headwater.ports.originals import Originals
from headwater.ports.quarantine import Quarantine
from headwater.ports.read_model import DocumentReadModel
from headwater.ports.rows import KeywordIndex, VectorIndex
from headwater.ports.syncs import SyncStates
from headwater.settings import Settings
from query_api.credentials import ServerSecret
from query_api.event_log import EventSink
from query_api.retrieval.breaker import Breakers
from schemas.ids import GenerationName


class Applied(Protocol):
    """Read-your-writes: waits until this replica has applied what a token stands for."""

    async def wait(self, positions: Positions, *, timeout_s: float) -> None:
        """Return when admission has settled the submissions and this replica has applied the outcome.

        Raise RetryableError when that takes longer than `timeout_s`.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """The two legs of one generation."""

    vectors: VectorIndex
    keywords: KeywordIndex


class Generations(Protocol):
    """The stores of a generation, opened when it is first asked for: a switch needs no restart."""

    async def stores(self, generation: GenerationName) -> Stores:
        """Return the open stores of a generation."""
        ...


class Embedders(Protocol):
    """The embedding model of each generation: a question is asked in the vector space of the rows it is compared to."""

    def of(self, need: EmbeddingNeed) -> Embedder:
        """Return the same embedder for the same need; what is wrong with it is raised when it embeds."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """What Triton (or a production endpoint) serves."""

    embedders: Embedders
    reranker: Reranker
    generator: Generator
    extractive: Generator | None = None  # quotes where `generator` is away; None where it is the generator itself


def utc_now() -> datetime:
    """Return the current time, aware."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """What endpoints and services are built from. In tests: fakes of the same ports."""

    settings: Settings
    secret: ServerSecret
    heads: Heads
    directory: Directory
    applied: Applied
    events: EventSink
    blobs: BlobStore
    cache: Cache
    documents: DocumentReadModel
    originals: Originals
    backlogs: Backlogs
    freshness: FreshnessReadModel
    lags: Lags
    consistency: ConsistencyReports
    syncs: SyncStates
    quarantine: Quarantine
    history: SourceLog
    generations: Generations
    models: Models
    breakers: Breakers = field(default_factory=Breakers)
    now: Callable[[], datetime] = field(default=utc_now)
    undoing: asyncio.Lock = field(default_factory=asyncio.Lock)  # reading the history is work for one request at a time
