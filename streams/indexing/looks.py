"""What a store holds of documents: bulk work asks for many at once, an edit for itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from headwater.ports.rows import ChunkIndex
from schemas.events import ChunkBatch
from schemas.events.base import Lane
from schemas.ids import DocumentId, Revision, TenantId
from streams.harness.gathering import Coalescer

# Rows that one question is about: a store that cannot count them in groups names each of them in its answer.
_ROWS: Final = 4_096


@dataclass(frozen=True, slots=True)
class _Asked:
    tenant: TenantId
    document: DocumentId


class Looks:
    """Asks one store. What bulk work asks while an answer is under way goes together in the next question.

    Raises as the ports do.
    """

    def __init__(self, index: ChunkIndex) -> None:
        self._index = index
        self._together: Coalescer[_Asked, Mapping[Revision, int]] = Coalescer(self._ask, max_weight=_ROWS)

    async def close(self) -> None:
        """Let go of who waits for an answer."""
        await self._together.close()

    async def newest(self, event: ChunkBatch) -> Revision | None:
        """Return the newest revision that the event's document has rows of, None where it has none."""
        if self._alone(event):
            counts = await self._index.revisions(event.tenant_id, event.document_id)
        else:
            counts = await self._crowd(event)
        return max(counts, default=None)

    async def count(self, event: ChunkBatch) -> int:
        """Count the visible rows of the event's revision."""
        if self._alone(event):
            return await self._index.count(event.tenant_id, event.document_id, event.revision)
        return (await self._crowd(event)).get(event.revision, 0)

    def _alone(self, event: ChunkBatch) -> bool:
        return event.lane is Lane.LIVE or event.total > _ROWS

    async def _crowd(self, event: ChunkBatch) -> Mapping[Revision, int]:
        asked = _Asked(event.tenant_id, event.document_id)
        return await self._together.add(asked, weight=max(event.total, 1))

    async def _ask(self, asked: Sequence[_Asked]) -> Sequence[Mapping[Revision, int]]:
        if len(asked) == 1:
            return [await self._index.revisions(asked[0].tenant, asked[0].document)]
        found = await self._index.revisions_of([(each.tenant, each.document) for each in asked])
        return [found[each.document] for each in asked]
