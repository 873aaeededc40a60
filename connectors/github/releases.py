"""Releases of a repository: all of them, compared with what is held; GitHub tells no times of update (ADR 0136)."""

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from connectors.github.client import GithubClient, Seen
from connectors.github.cursor import RELEASES, Shelf
from connectors.github.documents import Home, release_text
from connectors.github.ids import release_id, release_key
from connectors.github.models import Release
from connectors.leaves import Held, Leaf, Ledger, known
from connectors.protocol import Deleted, Listing, Observed, Patched, SourceChange, Upserted


@dataclass(slots=True, kw_only=True)
class Releases:
    """One look at a repository's releases. `seen_ns`: a time before it was asked for anything."""

    client: GithubClient
    home: Home
    shelf: Shelf
    seen_ns: int
    seen: Seen = ()  # the listing's pages, once it was read

    async def changed(self, known: Seen) -> AsyncIterator[Observed]:
        """Compare all releases with what is held, unless their pages are as they were.

        One that is missing is asked for before it is deleted: pages shift while they are read.
        """
        if known and await self.client.unchanged(known):
            self.seen = known
            return
        pages = await self.client.listing(self.client.below(self.home.repository, "releases"))
        listed = {each.id: each for each in pages.items(Release) if each.is_published}
        ledger = self.shelf.ledger(RELEASES)
        for _, release in sorted(listed.items()):
            leaf, held = ledger.take(release_key(release.id), self.seen_ns)
            for change in self._difference((ledger, leaf), release, held):
                yield change
        ledger.finish(self.seen_ns)
        self.seen = pages.seen
        listing = ledger.listing(self.home.listing_of("releases"))
        for leaf, key, _ in ledger.missing():
            again = await self.client.release(self.home.repository, int(key))
            if again is None or not again.is_published:
                yield self._deletion((ledger, leaf), key, listing)
            else:
                self.seen = ()  # the listing is not believed: the next look reads it again

    async def one(self, number: int) -> AsyncIterator[Observed]:
        """Look at one release, as a notification asks."""
        ledger = self.shelf.looks(RELEASES)
        leaf, held = ledger.at(release_key(number))
        release = await self.client.release(self.home.repository, number)
        if release is not None and release.is_published:
            for change in self._difference((ledger, leaf), release, held):
                yield change
        elif held is not None:
            yield self._deletion((ledger, leaf), release_key(number), None)

    def _difference(self, at: tuple[Ledger, Leaf], release: Release, held: Held | None) -> list[Observed]:
        text, key = release_text(release).encode(), release_key(release.id)
        held, now = known(held), Held(content=hashlib.sha256(text).hexdigest()[:16], access=self.home.token)
        if held == now:
            return []
        what: Upserted | Patched = Upserted(state=self.home.release(release), content=_opener(text))
        if held is not None and held.content == now.content:
            what = Patched(patch=self.home.moved(release.html_url))
        _, parts = self.shelf.note(RELEASES, at, key, now, settled=True)
        return [self._change(key, what, parts)]

    def _deletion(self, at: tuple[Ledger, Leaf], key: str, listing: Listing | None) -> SourceChange:
        _, parts = self.shelf.note(RELEASES, at, key, None, settled=True)
        return self._change(key, Deleted(listing=listing), parts)

    def _change(self, key: str, what: Upserted | Patched | Deleted, parts: Mapping[str, bytes | None]) -> SourceChange:
        return SourceChange(
            external_id=release_id(self.home.repository.id, int(key)),
            what=what,
            source_version=self.seen_ns,
            occurred_at=datetime.fromtimestamp(self.seen_ns / 1e9, tz=UTC),
            cursor=parts,
        )


def _opener(text: bytes) -> Callable[[], AsyncIterator[bytes]]:
    async def read() -> AsyncIterator[bytes]:
        yield text

    return read
