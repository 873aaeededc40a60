"""A Confluence site as a source: its listing compared with the cursor, what was edited lately first."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from connectors.confluence.access import Readers
from connectors.confluence.checking import Checking
from connectors.confluence.cursor import LISTED, SEARCHED, moment, now, parts_of_unknown
from connectors.confluence.groups import GroupMirror
from connectors.confluence.judging import Judge
from connectors.confluence.reading import Reader
from connectors.confluence.rest import CONTENT_ID, SpaceRef
from connectors.confluence.site import Site
from connectors.confluence.walk import Walk
from connectors.protocol import Cursor, CursorMoved, Listing, Observed, Unnoted
from headwater.errors import FatalError, PoisonError
from schemas.ids import KnowledgeBaseId


class ListingError(FatalError):
    """A listing that cannot be believed. Nothing is deleted on its word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfluenceConnector:
    """Implements Connector, ReadyConnector, FullConnector, ItemConnector, PermissionsConnector; one pass at a time."""

    site: Site
    readers: Readers
    knowledge_base: KnowledgeBaseId
    clock: Callable[[], datetime] = now

    async def check(self) -> None:
        """See the protocol."""
        await Checking(self.site).check()

    async def ready(self) -> None:
        """See the protocol."""
        await Checking(self.site).ready()

    async def changes(self, since: Cursor) -> AsyncIterator[Observed]:
        """Yield what was edited since the last search, then what differs in the listing, where that is due."""
        began, last = self.clock(), moment(since, LISTED)
        every = timedelta(seconds=self.site.settings.listing_every_s)
        # One that is still to come: a clock went back, or was another host's. How long ago it was is not known then.
        due = not every or last is None or not timedelta() <= began - last < every
        walk, spaces = self._walk(since), await self._spaces()
        async for change in walk.groups.all(spaces):
            yield change
        if (start := moment(since, SEARCHED) if due else last) is not None:
            minutes = int((began - start).total_seconds() // 60) + self.site.settings.overlap_minutes
            async for change in _believed(walk.searched(max(minutes, 1), spaces)):
                yield change
        if due:
            # What was edited before is worked off; nothing but looks hangs on it, for a listing follows.
            yield CursorMoved(cursor={SEARCHED: began.isoformat().encode()})
            async for change in self._listed(walk, spaces, began):
                yield change

    async def everything(self, since: Cursor) -> AsyncIterator[Observed]:
        """List everything and yield what differs."""
        began = self.clock()
        walk, spaces = self._walk(since), await self._spaces()
        async for change in walk.groups.all(spaces):
            yield change
        async for change in self._listed(walk, spaces, began):
            yield change

    async def permissions(self, since: Cursor) -> AsyncIterator[Observed]:
        """List everything and yield whose readers differ, or what is told beside the body: a move changes both.

        Nothing is read but the links of what was moved; nothing is deleted.
        """
        walk, spaces = self._walk(since), await self._spaces()
        async for change in walk.groups.all(spaces):
            yield change
        async for change in _believed(walk.listed(spaces, walk.metadata_of_held)):
            yield change

    async def items(self, external_ids: Collection[str], since: Cursor) -> AsyncIterator[Observed]:
        """Look at these contents alone, as webhooks ask. What is no content's id is passed over."""
        walk = self._walk(since)
        walk.groups.trust_cursor()
        for content_id in filter(CONTENT_ID.fullmatch, dict.fromkeys(external_ids)):
            async for change in walk.looked_at(content_id):
                yield change

    def unknown(self, unnoted: Unnoted, since: Cursor) -> Mapping[str, bytes | None]:
        """See the protocol."""
        return parts_of_unknown(unnoted, since)

    async def _listed(self, walk: Walk, spaces: Sequence[SpaceRef], began: datetime) -> AsyncIterator[Observed]:
        async for change in _believed(walk.listed(spaces, walk.differences)):
            yield change
        if not walk.seen and walk.held:
            raise ListingError(
                f"{self.site.settings.url}: lists no content where there was some; nothing is deleted. If it is really "
                "gone, remove the source; else check spaces, and what the account of secrets.token may view"
            )
        listing = Listing(name="", known=walk.known, shown=len(walk.seen))
        for content_id in walk.unseen():
            async for change in walk.looked_at(content_id, listing):
                yield change
        if self.site.settings.listing_every_s and walk.seen:  # one that shows nothing is cheap, and made again
            yield CursorMoved(cursor={LISTED: began.isoformat().encode()})

    async def _spaces(self) -> list[SpaceRef]:
        try:
            return await self.site.spaces()
        except PoisonError as error:
            raise ListingError(f"the spaces cannot be listed: {error}") from error

    def _walk(self, since: Cursor) -> Walk:
        return Walk(
            site=self.site,
            judge=Judge(self.site, self.readers),
            reader=Reader(site=self.site, knowledge_base=self.knowledge_base, names={}),
            groups=GroupMirror(self.site, self.readers, since),
            since=since,
            clock=self.clock,
        )


async def _believed(listing: AsyncIterator[Observed]) -> AsyncIterator[Observed]:
    """Yield what a listing comes to. Raise ListingError where a part of it is refused: it is not complete then."""
    try:
        async for change in listing:
            yield change
    except PoisonError as error:
        raise ListingError(f"a listing is refused, nothing is deleted: {error}") from error
