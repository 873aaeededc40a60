"""Copies blobs from one store to another, side by side, each at most once."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Final

from headwater.errors import PoisonError
from headwater.ports.blobs import BlobStore
from schemas.events.documents import BlobRef
from schemas.ids import TenantId

_PARALLEL: Final = 4  # each holds a part of at most 5 MiB


class ContentCopier:
    """Brings blobs from `source` to `target`. What is there already is not read."""

    def __init__(self, source: BlobStore, target: BlobStore) -> None:
        self._source = source
        self._target = target
        self._lanes = asyncio.Semaphore(_PARALLEL)
        self.copied = 0
        self.copied_bytes = 0
        self.missing: set[str] = set()  # `tenant/hash`: gone from the source, or no longer what its name says

    async def copy(self, references: Iterable[tuple[TenantId, BlobRef]]) -> None:
        """Copy what is not there yet. Raises RetryableError or FatalError; what is missing is noted and passed over."""
        copies = (self._copy(tenant, ref) for tenant, ref in dict.fromkeys(references))
        for result in await asyncio.gather(*copies, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def _copy(self, tenant: TenantId, ref: BlobRef) -> None:
        async with self._lanes:
            if await self._target.exists(tenant, ref):
                return
            try:
                await self._target.write(tenant, self._pieces(tenant, ref))
            except PoisonError:
                self.missing.add(f"{tenant}/{ref.sha256}")
            else:
                self.copied += 1
                self.copied_bytes += ref.size_bytes

    async def _pieces(self, tenant: TenantId, ref: BlobRef) -> AsyncIterator[bytes]:
        async for piece in self._source.read(tenant, ref):
            yield piece
