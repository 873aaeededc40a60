"""An installation's directory, workers and model server in memory; what is done to them is noted."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from headwater.clients.triton.embedding_model import DIMENSION, NAME
from headwater.errors import FatalError, RetryableError
from headwater.generations.catching_up import NotCaughtUpError
from headwater.generations.records import Generations, Known, new_generation
from headwater.heads.directory_table import DirectoryTable
from headwater.ports.models import EmbeddingModel
from schemas.events.directory import DirectoryKind, Generation
from schemas.ids import SYSTEM_TENANT, GenerationName, Revision
from tests.support.heads import directory_record

G1, G2 = GenerationName("g1"), GenerationName("g2")
SECOND = new_generation(G2, policy="structure-1,max_bytes=2000", created_at=datetime(2026, 3, 1, tzinfo=UTC))


def model(name: str = NAME, *, dimension: int = DIMENSION, max_tokens: int = 256) -> EmbeddingModel:
    return EmbeddingModel(name=name, revision="1", variant="fp32", dimension=dimension, max_tokens=max_tokens)


@dataclass
class World:
    """Implements Records and Feeders, and notes what is done; `lacking` has not caught up, `served` is None: away."""

    lacking: frozenset[GenerationName] = frozenset()
    done: list[str] = field(default_factory=list)
    table: DirectoryTable = field(default_factory=DirectoryTable)
    served: dict[str, EmbeddingModel] | None = field(default_factory=lambda: {NAME: model()})
    _revisions: int = 0

    async def read(self) -> Generations:
        return Generations.of(self.table, default=G1)

    async def put(self, record: Generation, *, over: Revision) -> Known:
        before = self.table.get(SYSTEM_TENANT, DirectoryKind.GENERATION, record.name)
        assert over == (before.revision if before else 0)
        self._revisions += 1
        revision = Revision(self._revisions)
        self.table.apply(
            directory_record(DirectoryKind.GENERATION, record.name, record, tenant=SYSTEM_TENANT, revision=revision)
        )
        self.done.append(f"put {record.name} {record.state.value} {record.switched}")
        return Known(record=record, revision=revision)

    async def start(self, generation: GenerationName) -> None:
        self.done.append(f"start {generation}")

    async def stop(self, generation: GenerationName) -> None:
        self.done.append(f"stop {generation}")

    async def prove(self, generation: GenerationName, _patience_s: float) -> None:
        self.done.append(f"prove {generation}")
        if generation in self.lacking:
            raise NotCaughtUpError(f"{generation} has not caught up")

    async def describe(self, model: str) -> EmbeddingModel:
        if self.served is None:
            raise RetryableError("triton.url: no answer")
        if model not in self.served:
            raise FatalError(f"model {model} on 127.0.0.1:8001 (triton.url): unknown model")
        return self.served[model]
