"""The heavy lane: documents above a size or page limit, by page ranges, in a parser process of their own."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headwater.ports.cache import Cache
from headwater.telemetry.metrics import CACHE_LOOKUPS
from headwater.telemetry.tracing import Headers
from schemas.events import DocumentChanged
from schemas.events.base import Position
from schemas.ids import TenantId
from streams.harness.handing_over import handed_over_from
from streams.harness.watchdog import Progress
from streams.prepare.errors import MalformedDocumentError
from streams.prepare.pages import load_range
from streams.prepare.parsing import PARSER_VERSION
from streams.prepare.pool import ParserPool
from streams.prepare.prepared import Prepared

_KEPT_S: Final = 24 * 3600  # a range is needed until its document is prepared, after a crash or two


def position_of(headers: Headers) -> Position:
    """Return where a deferred revision lies in the log. Raises MalformedDocumentError where nothing says so."""
    position = handed_over_from(headers)
    if position is None:
        raise MalformedDocumentError("headers: `changed` is missing; only `prepare` writes to this topic")
    return position


@dataclass(frozen=True, slots=True, kw_only=True)
class HeavyLane:
    """Prepares one document at a time. Page ranges are kept by their content: a successor goes on with the next.

    Between two ranges `is_superseded` is asked, and the watchdog is told that there is progress.
    """

    pool: ParserPool
    cache: Cache
    pages_at_once: int
    heavy_bytes: int
    progress: Progress
    max_pages: Callable[[TenantId], int]

    def is_heavy(self, event: DocumentChanged) -> bool:
        """Say whether the size alone decides. Pages are counted by the parser (HeavyDocumentError)."""
        return event.content is not None and event.content.size_bytes > self.heavy_bytes

    async def prepared(
        self, event: DocumentChanged, content: Path, sha256: str, *, is_superseded: Callable[[], bool]
    ) -> Prepared | None:
        """Return the same as if it had been prepared at once; None when a newer revision made it pointless."""
        try:
            return await self._prepared(event, content, sha256, is_superseded)
        finally:
            await self.pool.rest()  # its memory goes back: the next heavy document may be days away

    async def _prepared(
        self, event: DocumentChanged, content: Path, sha256: str, is_superseded: Callable[[], bool]
    ) -> Prepared | None:
        ranges: list[bytes] = []
        total = 1
        while (first := len(ranges) * self.pages_at_once) < total:
            if is_superseded():
                return None
            pages = await self._pages(event, content, sha256, first)
            self.progress.made()
            if pages is None:  # no pages: all of it at once
                return await self.pool.prepare(
                    content,
                    declared=event.media_type,
                    name=event.external_id,
                    max_pages=self.max_pages(event.tenant_id),
                )
            data, total = pages
            ranges.append(data)
        return None if is_superseded() else await self.pool.join(ranges)

    async def _pages(self, event: DocumentChanged, content: Path, sha256: str, first: int) -> tuple[bytes, int] | None:
        """Return one range and how many pages there are in all."""
        key = self._key(event.tenant_id, sha256, first)
        (entry,) = await self.cache.get_many([key])
        if entry is not None:
            try:
                total = load_range(entry).total
            except ValueError:
                entry = None
            else:
                CACHE_LOOKUPS.labels(cache="pages", result="hit").inc()
                return entry, total
        CACHE_LOOKUPS.labels(cache="pages", result="miss").inc()
        data = await self.pool.read_pages(
            content,
            first=first,
            count=self.pages_at_once,
            declared=event.media_type,
            name=event.external_id,
            max_pages=self.max_pages(event.tenant_id),
        )
        if data is None:
            return None
        await self.cache.put_many({key: data}, ttl_s=_KEPT_S)
        return data, load_range(data).total

    def _key(self, tenant: TenantId, sha256: str, first: int) -> str:
        name = hashlib.sha256(f"{sha256}/{PARSER_VERSION}/{first}/{self.pages_at_once}".encode()).hexdigest()
        return f"pages:{tenant}:{name}"
