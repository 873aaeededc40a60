"""GitHub as a source: groups of readers first, then what each repository has: files, issues, ..., its wiki."""

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

from connectors.filters import KeyFilter
from connectors.github.access import AccessMirror
from connectors.github.app import Installation
from connectors.github.checking import Checking
from connectors.github.client import GithubClient
from connectors.github.cursor import (
    DISCUSSIONS,
    FILES,
    GROUP,
    ISSUES,
    RELEASES,
    REPOSITORY,
    WIKIS,
    Shelf,
    deleted,
    held_documents,
    known_repositories,
)
from connectors.github.documents import Home, readers_group
from connectors.github.ids import Named, discussion_id, file_id, issue_id, named, release_id, wiki_id
from connectors.github.models import Repository
from connectors.github.scope import Scope
from connectors.github.unknown import parts_of_unknown
from connectors.github.unmet import Unmet
from connectors.github.visit import Visit
from connectors.protocol import Cursor, CursorMoved, GroupMirrored, ItemFailed, Listing, Observed, SourceChange, Unnoted
from headwater.errors import PoisonError
from headwater.sources.github import GithubSettings
from schemas.ids import KnowledgeBaseId, SourceId


@dataclass(frozen=True, slots=True, kw_only=True)
class GithubConnector:
    """Reads repositories. Implements Connector, ReadyConnector, FullConnector, ItemConnector, PermissionsConnector."""

    client: GithubClient
    settings: GithubSettings
    source: SourceId
    knowledge_base: KnowledgeBaseId
    installation: Installation | None = None  # whose token the client shows
    clock_ns: Callable[[], int] = time.time_ns

    async def check(self) -> None:
        """See the protocol."""
        self._filter()
        await self._checking().check()

    async def ready(self) -> None:
        """See the protocol."""
        self._filter()
        await self._checking().ready()

    async def changes(self, since: Cursor) -> AsyncIterator[Observed]:
        """Yield what changed: by comparing commits and by times of update, of a repository that is known as it is."""
        async for change in self._all(since, whole=False):
            yield change

    async def everything(self, since: Cursor) -> AsyncIterator[Observed]:
        """Compare all trees and all issues with what is held."""
        async for change in self._all(since, whole=True):
            yield change

    async def permissions(self, since: Cursor) -> AsyncIterator[Observed]:
        """Yield groups alone: no document says who its readers are, but for the group of its repository."""
        found = await self._scope().found(since)
        for failed in found.failed:
            yield failed
        async for change in self._access().groups(found.repositories, found.gone, since):
            yield change

    async def items(self, external_ids: Collection[str], since: Cursor) -> AsyncIterator[Observed]:
        """Look at single documents; `repo:ID`: what changed of a repository. Others are passed over."""
        by_repository: dict[int, list[Named]] = {}
        for each in sorted(external_ids):
            wanted = named(each)
            if wanted is not None:
                by_repository.setdefault(wanted.repository_id, []).append(wanted)
        for repository_id, looked in by_repository.items():
            try:
                repository = await self._scope().one(repository_id)
            except PoisonError as error:
                yield ItemFailed(external_id=readers_group(repository_id), error=error)
                continue
            if repository is None:
                found = self._revoked(repository_id, since)
            elif any(each.is_all for each in looked):
                found = self._renewed(repository, looked, since)
            else:
                found = self._looked_at(repository, looked, since)
            async for change in found:
                yield change

    def unknown(self, unnoted: Unnoted, since: Cursor) -> Mapping[str, bytes | None]:
        """See the protocol."""
        return parts_of_unknown(unnoted, since)

    async def _revoked(self, repository_id: int, since: Cursor) -> AsyncIterator[Observed]:
        """Yield that a repository is not this source's any more, if anything of it is held."""
        if repository_id in known_repositories(since):
            group_id = readers_group(repository_id)
            yield GroupMirrored(group_id=group_id, group=None, cursor={GROUP + group_id: None})
            for change in self._gone(repository_id, since, None):
                yield change

    async def _renewed(
        self, repository: Repository, looked: Collection[Named], since: Cursor
    ) -> AsyncIterator[Observed]:
        """Yield what changed of one repository: its readers first, then what is named and nothing else may tell of.

        No time of update tells that an issue or a discussion was deleted, or a comment of a discussion edited.
        """
        async for group in self._access().of_repository(repository, since):
            yield group
        said = [each for each in looked if each.number is not None or each.discussion is not None]
        # Before all the rest: what that notes must not be overwritten, for it tells where the next pass goes on.
        async for change in self._looked_at(repository, said, since):
            yield change
        async for change in self._repository(repository, since, whole=False):
            yield change

    async def _all(self, since: Cursor, *, whole: bool) -> AsyncIterator[Observed]:
        found = await self._scope().found(since)
        for failed in found.failed:
            yield failed
        async for group in self._access().groups(found.repositories, found.gone, since):
            yield group
        unmet = Unmet(since if whole else {})
        for repository in found.repositories:
            async for change in self._repository(repository, since, whole=whole, unmet=unmet):
                yield unmet.told(change)
            unmet.finished(repository.id)
            if (left := unmet.left()) is not None:
                yield left
        listing = _repositories(found.gone, since)
        for repository_id in found.gone:
            for change in self._gone(repository_id, since, listing):
                yield change
            unmet.finished(repository_id)

    async def _repository(
        self, repository: Repository, since: Cursor, *, whole: bool, unmet: Unmet | None = None
    ) -> AsyncIterator[Observed]:
        """Yield what changed of a repository; the last change carries where it is resumed."""
        visit = self._visit(repository, since)
        if unmet is not None:
            visit.shelf.met = partial(unmet.met, repository.id)
        last: SourceChange | None = None
        async for change in visit.changes(whole=whole):
            if not isinstance(change, SourceChange):
                yield change
                continue
            if last is not None:
                yield last
            last = change
        if last is not None:
            yield replace(last, cursor=visit.shelf.closing(last.cursor, visit.state))
        elif visit.state.is_worth_noting(visit.known):
            # Nothing to submit, and still something to remember: a commit that touched no document.
            yield CursorMoved(cursor=visit.shelf.closing({}, visit.state))

    async def _looked_at(
        self, repository: Repository, wanted: Collection[Named], since: Cursor
    ) -> AsyncIterator[Observed]:
        visit = self._visit(repository, since)
        for each in wanted:
            try:
                async for change in visit.one(each):
                    yield change
            except PoisonError as error:
                yield ItemFailed(external_id=each.external_id, error=error)

    def _gone(self, repository_id: int, since: Cursor, listing: Listing | None) -> Iterator[Observed]:
        """Yield the deletion of all that is held of a repository; the last one forgets it."""
        shelf, seen_ns = Shelf(since, repository_id), self.clock_ns()
        deletions = [
            *deleted(shelf, FILES, lambda path: file_id(repository_id, path), seen_ns, listing),
            *deleted(shelf, ISSUES, lambda key: issue_id(repository_id, int(key)), seen_ns, listing),
            *deleted(shelf, RELEASES, lambda key: release_id(repository_id, int(key)), seen_ns, listing),
            *deleted(shelf, DISCUSSIONS, lambda key: discussion_id(repository_id, int(key)), seen_ns, listing),
            *deleted(shelf, WIKIS, lambda path: wiki_id(repository_id, path), seen_ns, listing),
        ]
        if deletions:  # should it come back before all of them are submitted, then as one of which nothing is known
            yield CursorMoved(cursor={f"{REPOSITORY}{repository_id}": None})
        yield from deletions[:-1]
        for last in deletions[-1:]:
            yield replace(last, cursor=shelf.forgetting(last.cursor))
        if not deletions:
            yield CursorMoved(cursor=shelf.forgetting({}))

    def _visit(self, repository: Repository, since: Cursor) -> Visit:
        home = Home(repository=repository, source=self.source, knowledge_base=self.knowledge_base)
        return Visit.begun(
            home, since, client=self.client, settings=self.settings, keys=self._filter(), seen_ns=self.clock_ns()
        )

    def _scope(self) -> Scope:
        return Scope(client=self.client, settings=self.settings, installation=self.installation)

    def _checking(self) -> Checking:
        return Checking(client=self.client, settings=self.settings, installation=self.installation)

    def _access(self) -> AccessMirror:
        return AccessMirror(client=self.client, settings=self.settings, source=self.source)

    def _filter(self) -> KeyFilter:
        return KeyFilter.of(include=self.settings.include, exclude=self.settings.exclude)


def _repositories(gone: Collection[int], since: Cursor) -> Listing:
    """Return what the listing of repositories came to, in documents: those of new ones are not listed yet."""
    held = held_documents(since) if gone else Counter[int]()
    lost = sum(held[each] for each in gone)
    return Listing(name="repositories", known=held.total(), shown=held.total() - lost)
