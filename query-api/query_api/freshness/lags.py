"""What waits in the log, asked of the broker at most every few seconds however many ask us."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, Self

from headwater.local.lag import LagReader
from headwater.ports.freshness import StageLag
from headwater.settings import Settings
from schemas.ids import GenerationName

KEPT_S: Final = 5.0


class KafkaLags:
    """Implements the Lags port. The reader blocks and is not thread-safe: one call at a time, in a thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._reader: LagReader | None = None
        self._lock = asyncio.Lock()
        self._stages: Sequence[StageLag] = ()
        self._good_until = 0.0
        self._of: GenerationName | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator[Self]:
        """Open without a first call; the broker's clients start when somebody asks."""
        lags = cls(settings)
        try:
            yield lags
        finally:
            await asyncio.to_thread(lags._close)

    async def stages(self, generation: GenerationName) -> Sequence[StageLag]:
        """See the port."""
        async with self._lock:
            if generation != self._of or time.monotonic() >= self._good_until:
                self._stages = await asyncio.to_thread(self._read, generation)
                self._of, self._good_until = generation, time.monotonic() + KEPT_S
            return self._stages

    def _read(self, generation: GenerationName) -> Sequence[StageLag]:
        if self._reader is None:
            self._reader = LagReader(self._settings)
        return self._reader.stages(generation=generation)

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()
