"""Deletions that wait for an administrator."""

from collections.abc import Sequence
from typing import Protocol

from schemas.events.documents import DeletionQuarantined
from schemas.ids import SourceId, TenantId


class Quarantine(Protocol):
    """What admission holds back. Raises RetryableError when the log does not answer."""

    async def waiting(self, tenant: TenantId, source: SourceId) -> Sequence[DeletionQuarantined]:
        """Return a source's deletions that wait by now, the longest waiting first."""
        ...
