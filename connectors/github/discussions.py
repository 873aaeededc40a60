"""Discussions with their comments and replies: by time of update, or all of them (ADR 0137)."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from connectors.github.cursor import DISCUSSIONS, Shelf
from connectors.github.documents import Home, discussion_text
from connectors.github.graphql import GithubGraphQL
from connectors.github.graphql_models import Discussion
from connectors.github.ids import discussion_id, discussion_key
from connectors.github.updates import OVERLAP
from connectors.leaves import Held, Leaf, Ledger, Note, known
from connectors.paging import of_a_part
from connectors.protocol import Deleted, Listing, Observed, Patched, SourceChange, Upserted


@dataclass(slots=True, kw_only=True)
class Discussions:
    """One look at a repository's discussions. `seen_ns`: a time before it was asked for anything."""

    graphql: GithubGraphQL
    home: Home
    shelf: Shelf
    seen_ns: int
    newest: datetime | None = None  # of the updates that were seen

    def mark(self, known: str | None) -> str | None:
        """Return from when on the next look goes. What is updated during this one comes before all that it saw."""
        if self.newest is None:
            return known
        mark = (self.newest - OVERLAP).astimezone(UTC).isoformat()
        return max(mark, known or mark)

    async def whole(self) -> AsyncIterator[Observed]:
        """Compare all discussions with what is held. One that is missing is asked for before it is deleted."""
        ledger = self.shelf.ledger(DISCUSSIONS)
        listed = {each.number: each async for each in self._listed()}
        for number, discussion in sorted(listed.items()):
            leaf, held = ledger.take(discussion_key(number), self.seen_ns)
            for change in self._difference((ledger, leaf), discussion, held):
                yield change
        ledger.finish(self.seen_ns)
        listing = ledger.listing(self.home.listing_of("discussions"))
        for leaf, key, _ in ledger.missing():
            if await self.graphql.discussion(self.home.repository, int(key)) is None:
                yield self._deletion((ledger, leaf), key, listing)

    async def since(self, mark: str | None) -> AsyncIterator[Observed]:
        """Look at what was updated since, the newest first."""
        ledger = self.shelf.ledger(DISCUSSIONS)
        until = datetime.fromisoformat(mark) if mark is not None else datetime.min.replace(tzinfo=UTC)
        seen: set[int] = set()
        async for discussion in self._listed():
            if discussion.updated_at < until:
                return
            if discussion.number not in seen:
                seen.add(discussion.number)
                leaf, held = ledger.at(discussion_key(discussion.number))
                for change in self._difference((ledger, leaf), discussion, held):
                    yield change

    async def one(self, number: int) -> AsyncIterator[Observed]:
        """Look at one discussion, as a notification asks. It is read anew: nothing else tells edits of comments."""
        ledger = self.shelf.looks(DISCUSSIONS)
        leaf, held = ledger.at(discussion_key(number))
        discussion = await self.graphql.discussion(self.home.repository, number)
        if discussion is not None:
            for change in self._difference((ledger, leaf), discussion, None):
                yield change
        elif held is not None:
            yield self._deletion((ledger, leaf), discussion_key(number), None)

    async def _listed(self) -> AsyncIterator[Discussion]:
        async for each in self.graphql.discussions(self.home.repository):
            self.newest = max(self.newest or each.updated_at, each.updated_at)
            yield each

    def _difference(self, at: tuple[Ledger, Leaf], discussion: Discussion, held: Held | None) -> list[Observed]:
        held, now = known(held), Held(content=discussion.state_token, access=self.home.token)
        if held == now:
            return []
        key = discussion_key(discussion.number)
        if held is not None and held.content == now.content:
            _, parts = self.shelf.note(DISCUSSIONS, at, key, now, settled=True)
            return [self._change(key, Patched(patch=self.home.moved(discussion.url)), parts)]
        note, parts = self.shelf.note(DISCUSSIONS, at, key, now, settled=False)
        what = Upserted(state=self.home.discussion(discussion), content=self._opener(discussion, note))
        return [self._change(key, what, parts)]

    def _deletion(self, at: tuple[Ledger, Leaf], key: str, listing: Listing | None) -> SourceChange:
        _, parts = self.shelf.note(DISCUSSIONS, at, key, None, settled=True)
        return self._change(key, Deleted(listing=listing), parts)

    def _change(self, key: str, what: Upserted | Patched | Deleted, parts: Mapping[str, bytes | None]) -> SourceChange:
        return SourceChange(
            external_id=discussion_id(self.home.repository.id, int(key)),
            what=what,
            source_version=self.seen_ns,
            occurred_at=datetime.fromtimestamp(self.seen_ns / 1e9, tz=UTC),
            cursor=parts,
        )

    def _opener(self, discussion: Discussion, note: Note) -> Callable[[], AsyncIterator[bytes]]:
        async def read() -> AsyncIterator[bytes]:
            with of_a_part():
                parts = [each async for each in self.graphql.said(self.home.repository, discussion.number)]
            yield discussion_text(discussion, parts).encode()
            note.settled = True

        return read
