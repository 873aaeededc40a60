"""Documents that nobody wrote, of words that nobody says: as many as a figure needs, written without stages."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headwater.ports.rows import ChunkRow, Scope
from headwater.retry import RetryPolicy, retry
from schemas.events.base import Position
from schemas.events.documents import DocumentChanged
from schemas.ids import Principal
from tests.support.audited import World, rows_of_state, state_of
from tests.support.rows import scope_of

PER_DOCUMENT: Final = 8
_USERS: Final = 500  # one in ten documents is for one of them alone, the others for one of twenty groups
_GROUPS: Final = 20
_ASKERS_GROUPS: Final = 5  # whoever asks may read a quarter of everything, roughly
_VOCABULARY: Final = 20_000
_ZIPF: Final = 1.2  # how quickly words grow rare; English has about 1
_WORDS: Final = 60  # of a chunk
_COMMONEST: Final = 30  # words that are in too many chunks for anybody to ask for them
_BATCH: Final = 125  # documents: a thousand rows
_BATCHES_SAID: Final = 20
_PATIENCE: Final = RetryPolicy(attempts=5, first_delay_s=1.0)
_SEED: Final = 20_240_229


@dataclass(slots=True, kw_only=True)
class Synthetic:
    """Rows and questions, drawn from one seed: the same ones every time."""

    world: World
    drawn: np.random.Generator

    @classmethod
    def of(cls, world: World) -> "Synthetic":
        return cls(world=world, drawn=np.random.default_rng(_SEED))

    async def fill(self, documents: int, say: Callable[[str], None]) -> None:
        """Write documents of eight chunks to the log, to both stores and to the read model, as if long settled."""
        states = states_of(documents)
        written = 0
        while batch := list(islice(states, _BATCH)):
            await self.world.log(batch, chunks=PER_DOCUMENT)
            await retry(partial(self._write, batch, self._rows(batch)), policy=_PATIENCE)
            written += len(batch)
            if written % (_BATCH * _BATCHES_SAID) == 0:
                say(f"{written * PER_DOCUMENT} rows in each store")

    async def ask(self) -> None:
        """Ask both stores side by side for fifty rows each, as a search does, and take part of what a caller may."""
        words, (vector,) = self._text(3, rarer_than=_COMMONEST), self._vectors(1)
        await asyncio.gather(
            self.world.vectors.search(ASKER, vector, limit=50), self.world.keywords.search(ASKER, words, limit=50)
        )

    async def _write(self, batch: Sequence[DocumentChanged], rows: Sequence[ChunkRow]) -> None:
        nowhere = Position(topic="log", partition=0, offset=0)
        await asyncio.gather(
            self.world.vectors.upsert(rows, self._vectors(len(rows))),
            self.world.keywords.upsert(rows),
            self.world.documents.record_states([(state, nowhere) for state in batch]),
        )

    def _rows(self, batch: Sequence[DocumentChanged]) -> list[ChunkRow]:
        return [
            replace(row, text=self._text(_WORDS))
            for state in batch
            for row in rows_of_state(state, chunks=PER_DOCUMENT)
        ]

    def _text(self, words: int, *, rarer_than: int = 0) -> str:
        ranks = self.drawn.zipf(_ZIPF, words) % (_VOCABULARY - rarer_than) + rarer_than
        return " ".join(f"w{rank:05d}" for rank in ranks)

    def _vectors(self, count: int) -> NDArray[np.float32]:
        drawn = self.drawn.standard_normal((count, self.world.settings.milvus.dimension), np.float32)
        unit: NDArray[np.float32] = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
        return unit


def states_of(documents: int) -> Iterator[DocumentChanged]:
    """Yield documents with different readers."""
    for nth in range(documents):
        reader = f"user:{nth % _USERS}" if nth % 10 == 0 else f"group:wiki:{nth % _GROUPS}"
        yield state_of(f"document-{nth}.md", readers=(reader,))


ASKER: Final[Scope] = scope_of(
    Principal("user:0"), *(Principal(f"group:wiki:{nth}") for nth in range(1, 1 + _ASKERS_GROUPS))
)
