"""One pass over a site: each content that is met is compared with what is held of it."""

from collections.abc import AsyncIterator, Callable, Collection, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Final, TypeAlias

from connectors.confluence.client import parsed
from connectors.confluence.cursor import CONTENT, Held, held_contents, now
from connectors.confluence.documents import facts_token, metadata_of, place_token
from connectors.confluence.groups import GroupMirror
from connectors.confluence.judging import Judge, Judged
from connectors.confluence.reading import Reader, is_readable
from connectors.confluence.rest import ATTACHMENT, Content, SpaceRef
from connectors.confluence.site import Site
from connectors.paging import EndlessListingError
from connectors.parts import Parts
from connectors.protocol import Cursor, Deleted, ItemFailed, Left, Listing, Observed, Patched, SourceChange, Upserted
from headwater.clients.egress.errors import MissingError
from headwater.errors import PoisonError
from schemas.events.documents import DocumentPatch

Compare: TypeAlias = Callable[[Content, Judged], AsyncIterator[Observed]]
TOLD_EVERY: Final = 100  # contents: where nothing has changed, how far it is is told all the same
_SEARCH: Final = "search"  # of the whole site, as an item that failed
_GONE: Final = "gone, or put away, while it was read; the next pass says which"


class EndlessSearchError(PoisonError):
    """A search that does not end. What it showed is taken, and what it did not is looked at by itself."""

    def __init__(self, error: EndlessListingError) -> None:
        super().__init__(
            f"the search does not end; what it showed was read ({error}). Have the site's search index rebuilt; until "
            "then comments and attachments may be missing, or set comments=false and attachments=false"
        )


class Walk:
    """What one pass has met."""

    def __init__(
        self,
        *,
        site: Site,
        judge: Judge,
        reader: Reader,
        groups: GroupMirror,
        since: Cursor,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self.groups, self.held = groups, held_contents(since)
        self.seen, self._seen_count = Parts(), 0
        self._clock, self._looked_us = clock, 0  # when the content at hand was looked at
        self._site, self._judge, self._reader = site, judge, reader
        self._unmet = 0  # of what was held when a listing began; what is new is known when it is met
        self.known = 0  # how many these were

    async def listed(self, spaces: Collection[SpaceRef], compare: Compare) -> AsyncIterator[Observed]:
        """Yield what comparing each content of the spaces comes to. All of them were met when it ends.

        But for comments and attachments, where the site finds them by search alone and that does not end: a failure.
        """
        self._unmet = self.known = len(self.held)
        for space in spaces:
            await self._judge.enter(space)
            async for change in self._compared(self._site.contents(space), compare):
                yield change
            try:
                async for change in self._compared(self._site.parts(space), compare):
                    yield change
            except EndlessListingError as error:
                yield ItemFailed(external_id=f"space:{space.key}", error=EndlessSearchError(error))
        self._unmet = 0

    async def _compared(self, listing: AsyncIterator[object], compare: Compare) -> AsyncIterator[Observed]:
        async for item in listing:
            async for change in self._met(item, compare):
                yield change
            if self._seen_count % TOLD_EVERY == 0 and (left := self._left()) is not None:
                yield left

    async def searched(self, minutes: int, spaces: Collection[SpaceRef]) -> AsyncIterator[Observed]:
        """Yield what differs of what was edited in the last minutes, as far as the search shows it."""
        try:
            async for content_id, version in self._site.changed(minutes, spaces):
                held = Held.of(self.held.get(content_id))
                if held is None or not held.is_of(version):
                    async for change in self.looked_at(content_id):
                        yield change
        except EndlessListingError as error:
            yield ItemFailed(external_id=_SEARCH, error=EndlessSearchError(error))

    async def looked_at(self, content_id: str, listing: Listing | None = None) -> AsyncIterator[Observed]:
        """Yield what differs of one content; Deleted where it is gone, in the trash, or not connected any more.

        `listing`: the one that did not show it, if that is why it is looked at.
        """
        self._look()
        try:
            content = await self._site.content(content_id)
            judged = await self._judge.judged(content) if content is not None else None
        except PoisonError as error:
            yield ItemFailed(external_id=content_id, error=error)
            return
        if content is not None and judged is not None and self._takes(content):
            async for change in self.differences(content, judged):
                yield change
        elif self.held.pop(content_id, None) is not None:
            yield self._change(content_id, Deleted(listing=listing), None)

    async def differences(self, content: Content, judged: Judged) -> AsyncIterator[Observed]:
        """Yield what to submit of a content. A change of access never waits for a body that cannot be read."""
        async for change in self.metadata_of_held(content, judged):
            yield change
        held = Held.of(self.held.get(content.id))
        if held is None or not held.is_of(content.version):
            async for change in self._read(content, judged):
                yield change

    async def metadata_of_held(self, content: Content, judged: Judged) -> AsyncIterator[Observed]:
        """Yield what differs of a content that is held, beside its body: its readers first.

        A body is read where the content lies elsewhere by now, for its links are told from there.
        """
        async for change in self.access_of_held(content, judged):
            yield change
        held = Held.of(self.held.get(content.id))
        if held is None or not held.is_of(content.version):
            return
        is_now = _held(content, judged)
        if content.type != ATTACHMENT and held.place not in {"", is_now.place}:
            async for change in self._read(content, judged):
                yield change
        elif held.facts != is_now.facts:
            patch = metadata_of(self._reader.state(content, judged.access), links=content.type == ATTACHMENT)
            yield self._change(content.id, Patched(patch=patch), is_now)

    async def access_of_held(self, content: Content, judged: Judged) -> AsyncIterator[Observed]:
        """Yield a Patched where the readers of a content that is held differ, and the groups that they name."""
        async for group in self.groups.met(judged.groups):
            yield group
        if judged.error is not None:
            yield ItemFailed(external_id=content.id, error=judged.error)
        held = Held.of(self.held.get(content.id))
        if held is not None and held.access != judged.token:
            kept = replace(held, access=judged.token)
            patch = DocumentPatch(access=judged.access)
            yield self._change(content.id, Patched(patch=patch), kept)

    async def _met(self, item: object, compare: Compare) -> AsyncIterator[Observed]:
        content_id = str(item.get("id")) if isinstance(item, dict) else ""
        if content_id in self.seen:
            return  # a page of a listing may come twice
        self._look()
        try:
            content = parsed(Content, item, "content")
            judged = await self._judge.judged(content)
        except PoisonError as error:
            self._see(content_id)
            yield ItemFailed(external_id=content_id, error=error)
            return
        if judged is None or not self._takes(content):
            return  # what is held of it is looked at in the end
        self._see(content_id)
        if self._unmet and content_id in self.held:
            self._unmet -= 1
        async for change in compare(content, judged):
            yield change

    def _takes(self, content: Content) -> bool:
        settings = self._site.settings
        space = content.space
        taken = space.is_current and settings.takes(space.key)
        return taken and content.type in self._site.kinds and is_readable(content)

    async def _read(self, content: Content, judged: Judged) -> AsyncIterator[Observed]:
        """Yield a content with its body; a Patched where this very body is held."""
        what: Upserted | Patched
        try:
            if content.type == ATTACHMENT:
                what = self._reader.attached(content, judged.access)
            else:
                found = await self._site.with_body(content)
                if found is None:
                    raise MissingError(f"{content.title}: {_GONE}")
                content, storage = found
                # It may be newer than the listing, and lie elsewhere by now: all that is said of it is of one look.
                again = await self._judge.judged(content)
                if again is None:
                    raise MissingError(f"{content.title}: {_GONE}")
                judged = again
                what = await self._reader.written(content, storage, judged.access)
        except PoisonError as error:
            yield ItemFailed(external_id=content.id, error=error)
            return
        async for group in self.groups.met(judged.groups):
            yield group
        kept, held = _held(content, judged), Held.of(self.held.get(content.id))
        if held is not None and held.is_of(content.version):
            what = Patched(patch=metadata_of(what.state, links=True))
        yield self._change(content.id, what, kept)

    def unseen(self) -> Iterator[str]:
        """Yield what is held and was not met, in order. What is held may change meanwhile."""
        return (content_id for content_id in self.held if content_id not in self.seen)

    def _see(self, content_id: str) -> None:
        self.seen[content_id] = b""
        self._seen_count += 1

    def _look(self) -> None:
        self._looked_us = int(self._clock().timestamp() * 1_000_000)

    def _change(self, content_id: str, what: Upserted | Patched | Deleted, kept: Held | None) -> SourceChange:
        state = kept.encoded() if kept is not None else None
        if state is not None:
            self.held[content_id] = state
        return SourceChange(
            external_id=content_id,
            what=what,
            source_version=self._looked_us,  # versions may be numbered anew: see ADR 0187
            occurred_at=now(),
            cursor={CONTENT + content_id: state},
            left=self._left(),
        )

    def _left(self) -> Left | None:
        return Left(items=self._unmet, of=self.known) if self._unmet else None


def _held(content: Content, judged: Judged) -> Held:
    return Held(
        version=content.version.number,
        facts=facts_token(content),
        access=judged.token,
        place=place_token(content),
        made_ms=content.version.made_ms,
    )
