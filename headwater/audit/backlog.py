"""Are stages behind? Then what is not complete may be waiting for them, however old it is, and is not lost."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

from headwater.local.lag import LagReader
from headwater.settings import Settings
from schemas.events.directory import Generation, GenerationState

# A stage that keeps up has events that wait, too; they are milliseconds old, or minutes where one document is large.
_OLD: Final = timedelta(seconds=30)
_STAGES: Final = frozenset({"prepare", "embed", "index-vectors", "index-keywords", "status"})


def is_unfinished(generation: Generation) -> bool:
    """Say whether it is still being built: its documents were admitted long before it, and none of them is overdue.

    How old the events are that its stages have to read does not tell: those of the later stages are made meanwhile.
    """
    return generation.state is GenerationState.BUILDING


class Backlog:
    """Asks the broker how old the oldest event is that a stage of the generation has still to read."""

    def __init__(self, reader: LagReader, *, now: Callable[[], datetime]) -> None:
        self._reader, self._now = reader, now

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator["Backlog"]:
        """Open a client of the broker for this."""
        reader = LagReader(settings)
        try:
            yield cls(reader, now=lambda: datetime.now(UTC))
        finally:
            await asyncio.to_thread(reader.close)

    async def is_old(self) -> bool:
        """Say whether some stage has an old event to read. Raises RetryableError when the broker is away."""
        stages = await asyncio.to_thread(self._reader.stages)
        waiting = [each.oldest for each in stages if each.stage in _STAGES and each.oldest is not None]
        return any(self._now() - oldest > _OLD for oldest in waiting)
