"""Issues and pull requests with their comments: by time of change, or all of them (ADR 0124)."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from connectors.github.client import GithubClient, stated_at
from connectors.github.comments import Comments, state_of
from connectors.github.cursor import ISSUES, RepositoryState, Shelf
from connectors.github.documents import Home, issue_text
from connectors.github.ids import issue_id, issue_key
from connectors.github.models import Comment, Issue, read_as
from connectors.github.updates import BEGINNING, OVERLAP, Updates, stamp
from connectors.leaves import Held, Leaf, Ledger, Note, known
from connectors.paging import of_a_part
from connectors.protocol import Deleted, Listing, Observed, Patched, SourceChange, Upserted

_ALL: Final = {"state": "all", "sort": "created", "direction": "asc"}


@dataclass(slots=True, kw_only=True)
class Issues:
    """One look at a repository's issues. `seen_ns`: a time before it was asked for anything."""

    client: GithubClient
    home: Home
    shelf: Shelf
    seen_ns: int
    comments: Comments
    newest: datetime | None = None  # of the updates that were seen
    begun_at: datetime | None = None  # the listing, by GitHub's clock
    etag: str | None = None

    def mark(self, state: RepositoryState) -> str | None:
        """Return from when on the next look asks: never earlier than this one did."""
        if self.newest is None:
            return state.since
        # What was listed early may have been updated since, before what was listed late.
        mark = stamp(min(self.newest, self.begun_at or self.newest) - OVERLAP)
        return max(mark, state.since or mark)

    async def whole(self, state: RepositoryState) -> AsyncIterator[Observed]:
        """Compare all issues with what is held. One that is missing is asked for before it is deleted."""
        async for failed in self.comments.since(state.comments):
            yield failed
        ledger = self.shelf.ledger(ISSUES)
        last = 0
        async for page in self._pages():
            for issue in sorted(page, key=lambda each: each.number):
                self._see(issue)
                if issue.number > last:
                    last = issue.number
                    leaf, held = ledger.take(issue_key(issue.number), self.seen_ns)
                    for change in self._difference((ledger, leaf), issue, held):
                        yield change
        ledger.finish(self.seen_ns)
        listing = ledger.listing(self.home.listing_of("issues"))
        for leaf, key, _ in ledger.missing():
            if await self.client.issue(self.home.repository, int(key)) is None:
                yield self._deletion((ledger, leaf), key, listing)
        self._heard()

    async def _pages(self) -> AsyncIterator[Sequence[Issue]]:
        """Yield all issues in the order of their making.

        An issue that is deleted or moved away meanwhile shifts all later ones: the first one of a page onto the end
        of the page before. So that is asked for once more, by its ETag.
        """
        before: tuple[str, str | None] | None = None
        async for url, page in self.client.pages(self._path("issues"), _ALL):
            self.begun_at = self.begun_at or stated_at(page) or self._seen_at()
            if before is not None and (again := await self.client.changed(*before)) is not None:
                yield read_as(tuple[Issue, ...], again.content)
            yield read_as(tuple[Issue, ...], page.content)
            before = url, page.validators.etag

    async def since(self, state: RepositoryState) -> AsyncIterator[Observed]:
        """Look at what was updated since, and at what has a comment that was."""
        async for failed in self.comments.since(state.comments):
            yield failed
        ledger = self.shelf.ledger(ISSUES)
        seen: set[tuple[int, str]] = set()
        listed = Updates(client=self.client, path=self._path("issues"), form=Issue, query={"state": "all"})
        async for issue in listed.since(state.since or BEGINNING, state.issues_etag):
            self._see(issue)
            if (issue.number, issue.state_token) not in seen:
                seen.add((issue.number, issue.state_token))
                leaf, held = ledger.at(issue_key(issue.number))
                for change in self._difference((ledger, leaf), issue, held):
                    yield change
        self.etag, self.begun_at = listed.etag, listed.begun_at
        for number in sorted(self.comments.edited):
            async for change in self._anew(ledger, number):
                yield change
        self._heard()

    def _heard(self) -> None:
        if self.begun_at is not None:
            self.comments.begin(self.begun_at)

    async def one(self, number: int) -> AsyncIterator[Observed]:
        """Look at one issue, as a notification asks. It is read anew: its time may not tell that a comment changed."""
        async for change in self._anew(self.shelf.looks(ISSUES), number):
            yield change

    async def _anew(self, ledger: Ledger, number: int) -> AsyncIterator[Observed]:
        leaf, held = ledger.at(issue_key(number))
        issue = await self.client.issue(self.home.repository, number)
        if issue is not None:
            for change in self._difference((ledger, leaf), issue, None):
                yield change
        elif held is not None:
            yield self._deletion((ledger, leaf), issue_key(number), None)

    def _see(self, issue: Issue) -> None:
        self.newest = max(self.newest or issue.updated_at, issue.updated_at)

    def _difference(self, at: tuple[Ledger, Leaf], issue: Issue, held: Held | None) -> list[Observed]:
        held, key = known(held), issue_key(issue.number)
        now = Held(content=issue.state_token, access=self.home.token)
        is_edited = issue.number in self.comments.edited
        self.comments.edited.discard(issue.number)
        if held is not None and not is_edited and state_of(held.content) == now.content:
            if held.access == now.access:
                return []
            _, parts = self.shelf.note(ISSUES, at, key, replace(held, access=now.access), settled=True)
            return [self._change(key, Patched(patch=self.home.moved(issue.html_url)), parts, issue.updated_at)]
        note, parts = self.shelf.note(ISSUES, at, key, now, settled=False)
        what = Upserted(state=self.home.issue(issue), content=self._opener(issue, note))
        return [self._change(key, what, parts, issue.updated_at)]

    def _deletion(self, at: tuple[Ledger, Leaf], key: str, listing: Listing | None) -> SourceChange:
        _, parts = self.shelf.note(ISSUES, at, key, None, settled=True)
        return self._change(key, Deleted(listing=listing), parts, self._seen_at())

    def _change(
        self, key: str, what: Upserted | Patched | Deleted, parts: Mapping[str, bytes | None], occurred_at: datetime
    ) -> SourceChange:
        return SourceChange(
            external_id=issue_id(self.home.repository.id, int(key)),
            what=what,
            source_version=self.seen_ns,
            occurred_at=occurred_at,
            cursor=parts,
        )

    def _opener(self, issue: Issue, note: Note) -> Callable[[], AsyncIterator[bytes]]:
        async def read() -> AsyncIterator[bytes]:
            paths = [f"issues/{issue.number}/comments"] if issue.comments else []
            if issue.pull_request is not None:
                paths.append(f"pulls/{issue.number}/comments")
            with of_a_part():
                listings = [await self.client.listing(self._path(path)) for path in paths]
            comments = [each for listing in listings for each in listing.items(Comment)]
            yield issue_text(issue, comments).encode()
            newest = max((each.updated_at for each in comments), default=issue.updated_at)
            if newest > issue.updated_at and note.held is not None:
                note.held = replace(note.held, content=f"{issue.state_token}/{newest.isoformat()}")
            note.settled = True

        return read

    def _seen_at(self) -> datetime:
        return datetime.fromtimestamp(self.seen_ns / 1e9, tz=UTC)

    def _path(self, below: str) -> str:
        return self.client.below(self.home.repository, below)
