"""Which issues have a comment that was written or edited after they were read (ADR 0203)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from connectors.github.client import GithubClient, Seen
from connectors.github.cursor import ISSUES, Shelf
from connectors.github.documents import Home, readers_group
from connectors.github.ids import issue_key
from connectors.github.models import Comment
from connectors.github.updates import BEGINNING, OVERLAP, Updates, stamp
from connectors.leaves import Ledger
from connectors.protocol import ItemFailed
from headwater.clients.egress.errors import MissingError
from headwater.errors import PoisonError

# Those on issues and pull requests, and those on lines of pull requests: of the whole repository.
_LISTINGS: Final = ("issues/comments", "pulls/comments")


@dataclass(slots=True, kw_only=True)
class Comments:
    """One look at a repository's comments. `seen`: from when on the next one asks, with its ETag, of each listing."""

    client: GithubClient
    home: Home
    shelf: Shelf
    seen: Seen = ()
    edited: set[int] = field(default_factory=set)  # numbers of issues that are held

    async def since(self, known: Seen) -> AsyncIterator[ItemFailed]:
        """Find what was edited since; yield each listing that is refused, which is asked from there again.

        Where nothing is known and nothing is held there is nothing to find: every issue is about to be read.
        """
        held = self.shelf.ledger(ISSUES)
        if not known and held.is_empty:
            return
        seen: list[tuple[str, str | None]] = []
        for path, (mark, etag) in zip(_LISTINGS, known or ((BEGINNING, None),) * 2, strict=True):
            try:
                seen.append(await self._listed(path, mark, etag, held))
            except PoisonError as error:
                seen.append((mark, etag))
                if self.home.repository.has_issues or not isinstance(error, MissingError):
                    yield ItemFailed(external_id=readers_group(self.home.repository.id), error=error)
        self.seen = tuple(seen)

    def begin(self, at: datetime) -> None:
        """Let the next look ask from here on, where this one did not ask: all was read, beginning at this time."""
        self.seen = self.seen or ((stamp(at - OVERLAP), None),) * 2

    async def _listed(self, path: str, mark: str, etag: str | None, held: Ledger) -> tuple[str, str | None]:
        listed = Updates(client=self.client, path=self.client.below(self.home.repository, path), form=Comment)
        newest = mark
        async for comment in listed.since(mark, etag):
            newest = max(newest, stamp(comment.updated_at - OVERLAP))
            if comment.about is not None:
                _, known = held.at(issue_key(comment.about))
                if known is not None and comment.updated_at > read_until(known.content):
                    self.edited.add(comment.about)
        return newest, listed.etag


def state_of(content: str) -> str:
    """Return what is held of an issue's own state, without the time of the newest comment that was read."""
    return "/".join(content.split("/")[:2])


def read_until(content: str) -> datetime:
    """Return the time of the newest comment, or of the issue if that is later, that what is held contains."""
    updated, _, rest = content.partition("/")
    try:
        return datetime.fromisoformat(rest.partition("/")[2] or updated)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)  # another version's: it is read again
