"""A bucket as a source: its listing compared with the cursor, or one key looked at."""

import asyncio
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from connectors.filters import KeyFilter
from connectors.leaves import Held, Leaf, Ledger, Note, known, unknown
from connectors.objects.documents import content_token, document_state
from connectors.objects.granting import Grant, Granting
from connectors.objects.last_listing import LastListing
from connectors.objects.sidecars import RuleUnreadError, Sidecars, rule_bytes
from connectors.prefixes import PrefixAccess
from connectors.protocol import Cursor, Deleted, ItemFailed, Listing, Observed, Patched, SourceChange, Unnoted, Upserted
from connectors.rules import FolderRuleError, read_as
from headwater.errors import FatalError, PoisonError
from headwater.ports.objects import ListedObject, ObjectArchivedError, Objects
from headwater.sources.objects import RULES_KEY, SIDECARS, ObjectsSettings
from headwater.sources.rules import PrefixRules
from schemas.events.documents import NOBODY, Access, DocumentPatch
from schemas.ids import KnowledgeBaseId

# Before an access token, of what is closed until it is known who may read it:
_BROKEN: Final = "!"  # what says it is no rule, and stays so until another is stored
_UNREAD: Final = "?"  # what says it could not be read: tried again by each pass
# Keys of the longest page that comes from a store, Azure's, and may come twice. obstore joins pages, and cuts others.
_MOST_TWICE: Final = 5_000


class ObjectTooLargeError(PoisonError):
    """An object above the connection's limit."""


class ListingError(FatalError):
    """A listing that cannot be believed. Nothing is deleted on its word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectsConnector:
    """Reads a bucket. Implements Connector; one pass or look at a time, for both write the same cursor."""

    objects: Objects
    settings: ObjectsSettings
    knowledge_base: KnowledgeBaseId

    async def check(self) -> None:
        """See the protocol."""
        self._filter()
        await self.objects.check(self.settings.prefix)
        if self.settings.access_tags:
            granting = Granting(self.objects, self.settings, PrefixAccess(rules=None, name=""), None)
            async for page in self.objects.pages(self.settings.prefix):
                await granting.of_page(page[:1])
                return

    async def changes(self, since: Cursor) -> AsyncIterator[Observed]:
        """Compare the whole listing with the cursor, a page at a time; deletions come last, after all pages.

        Raises ListingError for a listing without any document where there were some, or in no order.
        """
        ledger, keys, rules = Ledger(since), self._filter(), await self._rules()
        granting, last = Granting(self.objects, self.settings, rules, self._sidecars()), LastListing(since)
        count, unreadable, seen_ns = 0, 0, 0
        async for page in _in_order(self.objects.pages(self.settings.prefix)):
            await asyncio.sleep(0)  # a large listing must not stop the submissions
            for listed, grant in await granting.of_page([each for each in page if self._is_document(each, keys)]):
                count, seen_ns = count + 1, listed.seen_ns
                leaf, held = ledger.take(listed.key, seen_ns)
                unreadable += held is None and self._unreadable(listed) is not None
                async for change in self._difference(ledger, leaf, held, listed, grant):
                    yield last.told(change, count)
            if (left := last.left(count)) is not None:
                yield left
        for place, error in sorted(rules.broken.items()):
            yield ItemFailed(external_id=f"{rules.name}#{place}" if place else rules.name, error=error)
        if not count and not ledger.is_empty:
            raise ListingError(
                f"{self.settings.url}: lists no document where there were some; nothing is deleted. If they are really "
                "gone, remove the source; else check prefix, include and exclude"
            )
        ledger.finish(seen_ns)
        listing = ledger.listing("", unreadable=unreadable)
        for leaf, key, missed_ns in ledger.missing():
            yield _deletion(ledger, leaf, key, missed_ns, listing)
        for moved in last.replaced(count):
            yield moved

    async def items(self, external_ids: Collection[str], since: Cursor) -> AsyncIterator[Observed]:
        """Look at these keys alone, as notifications ask, and yield what differs from the cursor.

        A sidecar's key means the object that it is about; the key of the bucket's rules means everything.
        """
        if self._below(RULES_KEY) in external_ids:
            async for change in self.changes(since):
                yield change
            return
        ledger, granting = Ledger(since), Granting(self.objects, self.settings, await self._rules(), None)
        for key in dict.fromkeys(self._meant(each) for each in external_ids):
            if key.startswith(self.settings.prefix):
                async for change in self._looked_at(key, ledger, granting):
                    yield change

    def unknown(self, unnoted: Unnoted, since: Cursor) -> Mapping[str, bytes | None]:
        """See the protocol."""
        return unknown(since, unnoted.external_ids)

    async def _looked_at(self, key: str, ledger: Ledger, granting: Granting) -> AsyncIterator[Observed]:
        seen_ns = time.time_ns()
        leaf, held = ledger.at(key)
        try:
            listed, sidecar = await self.objects.head(key), await self._sidecar(key)
        except PoisonError as error:
            yield ItemFailed(external_id=key, error=error)
            return
        if listed is None or not self._is_document(listed, self._filter()):
            if held is not None:
                yield _deletion(ledger, leaf, key, seen_ns, None)
            return
        async for change in self._difference(ledger, leaf, held, listed, await granting.of_one(listed, sidecar)):
            yield change

    def _meant(self, key: str) -> str:
        sidecars = self._below(SIDECARS)
        return self._below(key.removeprefix(sidecars)) if key.startswith(sidecars) else key

    async def _difference(
        self, ledger: Ledger, leaf: Leaf, held: Held | None, listed: ListedObject, grant: Grant
    ) -> AsyncIterator[Observed]:
        """Yield what to submit of one object. A change of access never waits for a content that cannot be read."""
        held, now = known(held), Held(content=content_token(listed), access=grant.token)
        if held == now:
            return
        if held is not None and held.content == now.content and held.access == _BROKEN + now.access:
            error = grant.error or FolderRuleError(f"{listed.key}: closed; its sidecar is still not readable as a rule")
            yield ItemFailed(external_id=listed.key, error=error)
            return
        access = NOBODY
        try:
            access = await grant.read(self.objects)
        except FolderRuleError as error:
            mark = _UNREAD if isinstance(error, RuleUnreadError) else _BROKEN
            now = Held(content=now.content, access=mark + now.access)
            yield ItemFailed(external_id=listed.key, error=error)
        if held is not None and held.access != now.access:
            patched = Held(content=held.content, access=now.access)
            yield self._change(ledger, leaf, listed, patched, Patched(patch=DocumentPatch(access=access)))
        if held is None or held.content != now.content:
            yield self._upsert(ledger, leaf, listed, now, access)

    def _upsert(
        self, ledger: Ledger, leaf: Leaf, listed: ListedObject, held: Held, access: Access
    ) -> SourceChange | ItemFailed:
        error = self._unreadable(listed)
        if error is not None:
            return ItemFailed(external_id=listed.key, error=error)
        state = document_state(listed, settings=self.settings, knowledge_base=self.knowledge_base, access=access)
        note, parts = ledger.note(leaf, listed.key, held, settled=False)
        return SourceChange(
            external_id=listed.key,
            what=Upserted(state=state, content=self._opener(listed, note)),
            source_version=listed.seen_ns,  # the look's time: see ADR 0120
            occurred_at=listed.modified_at,
            cursor=parts,
        )

    def _change(self, ledger: Ledger, leaf: Leaf, listed: ListedObject, held: Held, what: Patched) -> SourceChange:
        _, parts = ledger.note(leaf, listed.key, held, settled=True)
        at = _time(listed.seen_ns)
        return SourceChange(
            external_id=listed.key, what=what, source_version=listed.seen_ns, occurred_at=at, cursor=parts
        )

    def _unreadable(self, listed: ListedObject) -> PoisonError | None:
        if listed.archived:
            return ObjectArchivedError(f"{listed.key}: lies in an archive; restore it in the store, then it is read")
        if listed.size_bytes > self.settings.max_bytes:
            return ObjectTooLargeError(
                f"{listed.key}: {listed.size_bytes} bytes, at most {self.settings.max_bytes}; "
                "raise max_bytes or exclude it"
            )
        return None

    def _opener(self, listed: ListedObject, note: Note) -> Callable[[], AsyncIterator[bytes]]:
        async def read() -> AsyncIterator[bytes]:
            async for piece in self.objects.read(listed):
                yield piece
            note.settled = True

        return read

    async def _rules(self) -> PrefixAccess:
        """Return the rules by prefix, of the settings or of the bucket. Without any, all is for nobody."""
        if self.settings.access is not None:
            return PrefixAccess(rules=self.settings.access, name="access")
        key = self._below(RULES_KEY)
        try:
            listed = await self.objects.head(key)
            if listed is None:
                return PrefixAccess(rules=None, name=key)
            raw = await rule_bytes(self.objects, listed)
        except PoisonError as error:
            raise FatalError(f"{key}: {error}; without it nobody knows who may read what") from error
        try:
            return PrefixAccess(rules=read_as(PrefixRules, raw, key, guide="docs/connect-s3.md"), name=key)
        except FolderRuleError as error:
            return PrefixAccess(rules=None, name=key, broken={"": error})

    async def _sidecar(self, key: str) -> ListedObject | None:
        if not self.settings.access_sidecars:
            return None
        return await self.objects.head(self._below(SIDECARS) + key.removeprefix(self.settings.prefix))

    def _sidecars(self) -> Sidecars | None:
        if not self.settings.access_sidecars:
            return None
        folder = self._below(SIDECARS)
        return Sidecars(self.objects.pages(folder), folder)

    def _filter(self) -> KeyFilter:
        return KeyFilter.of(include=self.settings.include, exclude=self.settings.exclude)

    def _below(self, name: str) -> str:
        return self.settings.prefix + name

    def _is_document(self, listed: ListedObject, keys: KeyFilter) -> bool:
        """Leave out what is ours, the markers that consoles make for folders, and what the globs leave out."""
        key = listed.key
        ours = key == self._below(RULES_KEY) or key.startswith(self._below(SIDECARS))
        marker = key.endswith("/") and not listed.size_bytes
        below = key.startswith(self.settings.prefix)
        return below and not ours and not marker and keys.takes(key.removeprefix(self.settings.prefix))


def _deletion(ledger: Ledger, leaf: Leaf, key: str, seen_ns: int, listing: Listing | None) -> SourceChange:
    _, parts = ledger.note(leaf, key, None, settled=True)
    what = Deleted(listing=listing)
    return SourceChange(external_id=key, what=what, source_version=seen_ns, occurred_at=_time(seen_ns), cursor=parts)


def _time(at_ns: int) -> datetime:
    return datetime.fromtimestamp(at_ns / 1e9, tz=UTC)


async def _in_order(pages: AsyncIterator[Sequence[ListedObject]]) -> AsyncIterator[Sequence[ListedObject]]:
    """Yield pages without what was there already: a page may come twice. Raise ListingError for another order."""
    recent: list[str] = []  # ascending
    async for page in pages:
        fresh = []
        for listed in page:
            if not recent or listed.key > recent[-1]:
                fresh.append(listed)
                recent.append(listed.key)
            elif recent[bisect_left(recent, listed.key)] != listed.key:
                raise ListingError(
                    f"the store lists {listed.key!r} after {recent[-1]!r}: without an order nothing can be compared; "
                    "directory buckets (S3 Express) are not supported"
                )
        del recent[:-_MOST_TWICE]
        yield fresh
