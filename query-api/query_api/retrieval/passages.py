"""What retrieval hands on."""

from collections.abc import Mapping
from dataclasses import dataclass

from headwater.ports.rows import ChunkRow
from schemas.events.base import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class LegRank:
    """Where a passage stood in one leg."""

    rank: int  # from 1, among the rows that passed the gate
    score: float  # the store's own


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A row that the caller may read now, and why it is here."""

    row: ChunkRow
    store: Store  # whose newest complete revision it is of: the gate is asked again before it is shown
    score: float
    legs: Mapping[Store, LegRank]
    rerank_score: float | None = None
