"""How much of the log a stage has still to read before it comes to a document."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.ids import DocumentId, GenerationName, TenantId
from schemas.topics import Topic


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """The partition of one topic that holds a document's events, as its reader has left it."""

    stage: str
    topic: Topic
    partition: int
    position: int  # where the stage's group goes on
    end: int  # of what is committed
    expired: int = 0  # offsets that were removed before the group had read them, and that it has still to pass

    @property
    def events(self) -> int:
        """Return how many offsets are not settled yet; control records of transactions are among them."""
        return max(0, self.end - self.position)


class Backlogs(Protocol):
    """Asks the log how far stages are. Raises RetryableError when it does not answer."""

    async def of_document(
        self, tenant: TenantId, document: DocumentId, *, stages: Collection[str], generation: GenerationName
    ) -> Sequence[Backlog]:
        """Return one backlog for each topic that each stage reads a document's events from."""
        ...
