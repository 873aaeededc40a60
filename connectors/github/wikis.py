"""A repository's wiki: the files of its newest commit, compared with what is held (ADR 0145)."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath

from connectors.github.client import FileTooLargeError
from connectors.github.cursor import WIKIS, Shelf
from connectors.github.documents import UNREADABLE, Home
from connectors.github.git import GitClient, GitFile
from connectors.github.ids import wiki_id
from connectors.github.packs import PackTooLargeError
from connectors.leaves import Held, Leaf, Ledger, Note, known
from connectors.protocol import Deleted, Listing, Observed, Patched, SourceChange, Upserted
from headwater.clients.egress.errors import MissingError
from headwater.errors import PoisonError

# What GitHub shows beside each page is no page of its own.
_BESIDE = frozenset({"_footer", "_header", "_sidebar"})


class NoWikiError(PoisonError):
    """A wiki that is not there, though pages of it are held."""


class WikiTooLargeError(PoisonError):
    """A wiki whose listing is above the source's limit."""


@dataclass(slots=True, kw_only=True)
class Wikis:
    """One look at a repository's wiki. `seen_ns`: a time before it was asked for anything."""

    git: GitClient
    home: Home
    shelf: Shelf
    max_bytes: int  # of a page
    listing_bytes: int
    seen_ns: int

    async def commit(self) -> str | None:
        """Return the newest commit; None where nobody ever wrote a page.

        Raises NoWikiError where it is not there and pages are held: that may be a right that was lost.
        """
        try:
            found = await self.git.head(self.home.repository)
        except MissingError:
            found = None
        if found is None and not self.shelf.ledger(WIKIS).is_empty:
            raise NoWikiError(
                f"{self.home.repository.full_name}: git tells of no wiki where there was one; nothing is deleted. If "
                "it is really gone, switch wikis off for the repository; else check the rights of the credentials"
            )
        return found

    async def whole(self, commit: str) -> AsyncIterator[Observed]:
        """Compare all pages of a commit with what is held; deletions come last."""
        ledger = self.shelf.ledger(WIKIS)
        for page in await self._pages(commit):
            for change in self._difference((ledger, *ledger.take(page.path, self.seen_ns)), page):
                yield change
        ledger.finish(self.seen_ns)
        listing = ledger.listing(self.home.listing_of("wiki"))
        for leaf, path, _ in ledger.missing():
            yield self._deletion((ledger, leaf), path, listing)

    async def one(self, path: str) -> AsyncIterator[Observed]:
        """Look at one page."""
        ledger = self.shelf.looks(WIKIS)
        commit = await self.commit()
        leaf, held = ledger.at(path)
        pages = await self._pages(commit) if commit is not None else ()
        page = next((each for each in pages if each.path == path), None)
        if page is not None:
            for change in self._difference((ledger, leaf, held), page):
                yield change
        elif held is not None:
            yield self._deletion((ledger, leaf), path, None)

    async def _pages(self, commit: str) -> Sequence[GitFile]:
        try:
            found = await self.git.files(self.home.repository, commit, max_bytes=self.listing_bytes)
        except PackTooLargeError as error:
            raise WikiTooLargeError(
                f"{self.home.repository.full_name}: the list of its wiki's files is larger than {self.listing_bytes} "
                "bytes; raise wiki_listing_bytes"
            ) from error
        return [each for each in found if _is_page(each.path)]

    def _difference(self, at: tuple[Ledger, Leaf, Held | None], page: GitFile) -> list[Observed]:
        ledger, leaf, held = at[0], at[1], known(at[2])
        now = Held(content=page.sha, access=self.home.token)
        if held == now:
            return []
        if held is not None and held.content == now.content:
            _, parts = self.shelf.note(WIKIS, (ledger, leaf), page.path, now, settled=True)
            return [self._change(page.path, Patched(patch=self.home.moved_page(page.path)), parts)]
        note, parts = self.shelf.note(WIKIS, (ledger, leaf), page.path, now, settled=False)
        what = Upserted(state=self.home.page(page.path), content=self._opener(page, note))
        return [self._change(page.path, what, parts)]

    def _deletion(self, at: tuple[Ledger, Leaf], path: str, listing: Listing | None) -> SourceChange:
        _, parts = self.shelf.note(WIKIS, at, path, None, settled=True)
        return self._change(path, Deleted(listing=listing), parts)

    def _change(self, path: str, what: Upserted | Patched | Deleted, parts: Mapping[str, bytes | None]) -> SourceChange:
        return SourceChange(
            external_id=wiki_id(self.home.repository.id, path),
            what=what,
            source_version=self.seen_ns,
            occurred_at=datetime.fromtimestamp(self.seen_ns / 1e9, tz=UTC),
            cursor=parts,
        )

    def _opener(self, page: GitFile, note: Note) -> Callable[[], AsyncIterator[bytes]]:
        async def read() -> AsyncIterator[bytes]:
            async with self.git.reading:
                try:
                    yield await self.git.content(self.home.repository, page.sha, max_bytes=self.max_bytes)
                except PackTooLargeError as error:
                    note.settled = True  # as long as the content is this one: it is reported once
                    raise FileTooLargeError(
                        f"wiki/{page.path}: more than {self.max_bytes} bytes; raise max_bytes"
                    ) from error
            note.settled = True

        return read


def _is_page(path: str) -> bool:
    name = PurePosixPath(path)
    return name.suffix.lower() not in UNREADABLE and name.stem.lower() not in _BESIDE
