"""Waits until what was sent again has come to an end."""

import asyncio
import time
from dataclasses import dataclass

from headwater.errors import RetryableError
from headwater.ports.heads import Head, Positions
from headwater.ports.read_model import DocumentStatus
from query_api.parked.schemas import Ending
from query_api.runtime import Runtime
from schemas.ids import DocumentId, GenerationName, TenantId

_ENDINGS = {
    DocumentStatus.SEARCHABLE: Ending.DONE,
    DocumentStatus.DELETED: Ending.DONE,
    DocumentStatus.FAILED: Ending.FAILED,
}
_LOOK_EVERY_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Follower:
    """Looks at documents until a moment of the monotonic clock."""

    runtime: Runtime
    deadline_s: float

    @property
    def left_s(self) -> float:
        """How much time there is."""
        return max(0.0, self.deadline_s - time.monotonic())

    async def ending(
        self,
        tenant: TenantId,
        document: DocumentId,
        positions: Positions,
        *,
        before: Head | None,
        generation: GenerationName,
    ) -> Ending:
        """Return how the document's newest revision ended in a generation; PENDING where the time ran out first.

        `before` is the head that a submission at `positions` was to replace.
        """
        try:
            await self.runtime.applied.wait(positions, timeout_s=self.left_s)
        except RetryableError:
            return Ending.PENDING
        head = self.runtime.heads.head(tenant, document)
        if head is None or (before is not None and head.revision == before.revision):
            return Ending.NOT_ADMITTED
        while True:
            view = await self.runtime.documents.get_document(tenant, document, generation=generation)
            if view is not None and view.state.revision >= head.revision and view.status in _ENDINGS:
                return _ENDINGS[view.status]
            if not self.left_s:
                return Ending.PENDING
            await asyncio.sleep(min(_LOOK_EVERY_S, self.left_s))
