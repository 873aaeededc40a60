"""One look at one repository: its files, issues, releases, discussions and wiki, and where it is resumed afterwards."""

import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Final, Self

from connectors.filters import KeyFilter
from connectors.github.client import GithubClient
from connectors.github.comments import Comments
from connectors.github.cursor import DISCUSSIONS, FILES, ISSUES, RELEASES, WIKIS, RepositoryState, Shelf, deleted
from connectors.github.discussions import Discussions
from connectors.github.documents import Home, readers_group
from connectors.github.files import Files
from connectors.github.ids import Named, discussion_id, issue_id, release_id, wiki_id
from connectors.github.issues import Issues
from connectors.github.releases import Releases
from connectors.github.wikis import Wikis
from connectors.paging import of_a_part
from connectors.protocol import Cursor, ItemFailed, Observed, SourceChange
from headwater.clients.egress.errors import MissingError, RequestRefusedError
from headwater.errors import PoisonError
from headwater.sources.github import GithubSettings

_LISTED: Final = frozenset({"issues", "discussions"})  # GitHub lists nowhere what of them was deleted


class NoBranchError(PoisonError):
    """A repository whose default branch is not there, though files of it are held."""


@dataclass(slots=True, kw_only=True)
class Visit:
    """Looks, and gathers what the next look has to know."""

    home: Home
    client: GithubClient
    settings: GithubSettings
    shelf: Shelf
    known: RepositoryState
    state: RepositoryState
    files: Files
    issues: Issues
    releases: Releases
    discussions: Discussions
    wikis: Wikis

    @classmethod
    def begun(
        cls,
        home: Home,
        since: Cursor,
        *,
        client: GithubClient,
        settings: GithubSettings,
        keys: KeyFilter,
        seen_ns: int,
    ) -> Self:
        """Begin a look at what `seen_ns` comes before."""
        shelf, known = Shelf(since, home.repository.id), RepositoryState.of(since, home.repository.id)
        return cls(
            home=home,
            client=client,
            settings=settings,
            shelf=shelf,
            known=known,
            state=known,
            files=Files(
                client=client, home=home, shelf=shelf, keys=keys, max_bytes=settings.max_bytes, seen_ns=seen_ns
            ),
            issues=Issues(
                client=client,
                home=home,
                shelf=shelf,
                seen_ns=seen_ns,
                comments=Comments(client=client, home=home, shelf=shelf),
            ),
            releases=Releases(client=client, home=home, shelf=shelf, seen_ns=seen_ns),
            discussions=Discussions(graphql=client.graphql, home=home, shelf=shelf, seen_ns=seen_ns),
            wikis=Wikis(
                git=client.git,
                home=home,
                shelf=shelf,
                max_bytes=settings.max_bytes,
                listing_bytes=settings.wiki_listing_bytes,
                seen_ns=seen_ns,
            ),
        )

    async def changes(self, *, whole: bool) -> AsyncIterator[Observed]:
        """Yield what differs from what is held. `whole`: by reading all; else where the state is not enough."""
        token = self._token()
        parts = {
            "files": self._files,
            "issues": self._issues,
            "releases": self._releases,
            "discussions": self._discussions,
            "wiki": self._wiki,
        }
        unread, lists = list[str](), whole or self._is_listing_due
        for name, look in parts.items():
            is_due = self.known.token != token or name in self.known.unread or (lists and name in _LISTED)
            try:
                with of_a_part():
                    async for change in look(whole=whole or is_due):
                        yield change
            except PoisonError as error:  # the others are not looked at anew for its sake
                unread += [name] if is_due else []
                yield ItemFailed(external_id=readers_group(self.home.repository.id), error=error)
        listed_s = self.issues.seen_ns // 10**9 if lists or self.known.token != token else self.known.listed_s
        self.state = replace(self.state, token=token, unread=tuple(unread), listed_s=listed_s)

    @property
    def _is_listing_due(self) -> bool:
        """Say whether it is time to list what GitHub tells no deletion of; not for all repositories at once."""
        every_s = self.settings.listing_every_s * (1 - self.home.repository.id % 16 / 64)
        return not 0 <= self.issues.seen_ns // 10**9 - self.known.listed_s < every_s  # a clock may have gone back

    async def one(self, wanted: Named) -> AsyncIterator[Observed]:
        """Look at one document, or at all of a wiki, and of discussions that are switched off."""
        match wanted:
            case Named(path=str(path)):
                looked = self._file(path)
            case Named(number=int(number)) if self.settings.issues:
                looked = self.issues.one(number)
            case Named(release=int(release)) if self.settings.releases:
                looked = self.releases.one(release)
            case Named(discussion=int(number)) if self.settings.discussions:
                is_on = self.home.repository.has_discussions
                looked = self.discussions.one(number) if is_on else self._discussions(whole=False)
            case Named(wiki=str(path)) if self.settings.wikis:
                looked = self.wikis.one(path) if path and self.home.repository.has_wiki else self._wiki(whole=False)
            case _:
                return
        async for change in looked:
            yield change

    async def _file(self, path: str) -> AsyncIterator[Observed]:
        commit, _ = await self._head(None)
        if commit is not None:
            known = self.known.head if self._follows(commit) else None
            async for change in self._begun(commit, self.files.one(path, commit, known)):
                yield change

    async def _files(self, *, whole: bool) -> AsyncIterator[Observed]:
        commit, etag = await self._head(None if whole else self.known.head_etag)
        if commit is None:
            if not self.shelf.ledger(FILES).is_empty:
                raise NoBranchError(
                    f"{self.home.repository.full_name}: its default branch is not there; nothing is deleted"
                )
            return
        if whole or commit != self.known.head or not self._is_clean:
            async for change in self._compared(commit, whole=whole):
                yield change
        self.state = replace(self.state, head=commit, head_etag=etag, begun=self.shelf.begun)

    async def _compared(self, commit: str, *, whole: bool) -> AsyncIterator[Observed]:
        comparison = None
        if not whole and self.known.head is not None and self._follows(commit):
            comparison = await self.client.compare(self.home.repository, self.known.head, commit)
        found = self.files.since(comparison, commit) if comparison is not None else self.files.whole(commit)
        async for change in self._begun(commit, found):
            yield change

    async def _begun(self, commit: str, found: AsyncIterator[Observed]) -> AsyncIterator[Observed]:
        """Yield what a look finds, and before its first change that it has begun."""
        look = commit if self._follows(commit) else f"*{commit}"
        self.files.is_clean = self._is_clean
        async for change in found:
            if isinstance(change, SourceChange):
                for begun in self.shelf.begin(look):
                    yield begun
            yield change

    @property
    def _is_clean(self) -> bool:
        """Say whether what is held of files is that of the commit that is held: no look was cut off since."""
        return self.shelf.begun in {self.known.begun, self.known.head}

    def _follows(self, commit: str) -> bool:
        """Say whether all looks since the commit that is held were at this one.

        Else a comparison does not name all that is held: what came and went between the two is in neither.
        """
        return self._is_clean or self.shelf.begun == commit

    async def _head(self, etag: str | None) -> tuple[str | None, str | None]:
        """Return commit and ETag of the default branch; no commit where nothing was ever pushed."""
        if self.home.repository.default_branch is None:
            return None, None
        try:
            found = await self.client.head(self.home.repository, etag)
        except (MissingError, RequestRefusedError):  # 404, and 409 for an empty repository
            return None, None
        return found if found is not None else (self.known.head, self.known.head_etag)

    async def _issues(self, *, whole: bool) -> AsyncIterator[Observed]:
        if not self.settings.issues:
            if whole:
                for gone in deleted(self.shelf, ISSUES, self._issue_id, self.issues.seen_ns):
                    yield gone
            return
        is_told = False
        try:
            async for change in self.issues.whole(self.known) if whole else self.issues.since(self.known):
                is_told = is_told or isinstance(change, SourceChange)
                yield change
        except MissingError:
            if self.home.repository.has_issues or is_told:
                raise
            # 410: switched off there, nobody can read them there either. Where pull requests are listed all the same,
            # a whole look finds that the others are gone.
            for gone in deleted(self.shelf, ISSUES, self._issue_id, self.issues.seen_ns):
                yield gone
            self.state = replace(self.state, since=None, issues_etag=None, comments=())
            return
        since, comments = self.issues.mark(self.known), self.issues.comments.seen or self.known.comments
        self.state = replace(self.state, since=since, issues_etag=self.issues.etag, comments=comments)

    async def _releases(self, *, whole: bool) -> AsyncIterator[Observed]:
        if not self.settings.releases:
            if whole:
                for gone in deleted(self.shelf, RELEASES, self._release_id, self.releases.seen_ns):
                    yield gone
            return
        async for change in self.releases.changed(() if whole else self.known.releases):
            yield change
        self.state = replace(self.state, releases=self.releases.seen)

    async def _discussions(self, *, whole: bool) -> AsyncIterator[Observed]:
        if not (self.settings.discussions and self.home.repository.has_discussions):
            # Switched off there, nobody can read them there either.
            for gone in deleted(self.shelf, DISCUSSIONS, self._discussion_id, self.discussions.seen_ns):
                yield gone
            self.state = replace(self.state, discussions_since=None)
            return
        mark = self.known.discussions_since
        async for change in self.discussions.whole() if whole else self.discussions.since(mark):
            yield change
        self.state = replace(self.state, discussions_since=self.discussions.mark(mark))

    async def _wiki(self, *, whole: bool) -> AsyncIterator[Observed]:
        if not (self.settings.wikis and self.home.repository.has_wiki):
            # Switched off there, nobody can read it there either: that is certain, as a missing answer would not be.
            for gone in deleted(self.shelf, WIKIS, self._wiki_id, self.wikis.seen_ns):
                yield gone
            self.state = replace(self.state, wiki=None)
            return
        commit = await self.wikis.commit()
        if commit is not None and (whole or commit != self.known.wiki):
            async for change in self.wikis.whole(commit):
                yield change
        self.state = replace(self.state, wiki=commit)

    def _wiki_id(self, path: str) -> str:
        return wiki_id(self.home.repository.id, path)

    def _discussion_id(self, key: str) -> str:
        return discussion_id(self.home.repository.id, int(key))

    def _release_id(self, key: str) -> str:
        return release_id(self.home.repository.id, int(key))

    def _issue_id(self, key: str) -> str:
        return issue_id(self.home.repository.id, int(key))

    def _token(self) -> str:
        """Return what changes when all must be looked at anew: the repository's name, or the source's settings."""
        of = self.settings
        said = [self.home.token, of.include, of.exclude, of.max_bytes, of.issues, of.releases, of.discussions, of.wikis]
        if of.issues and not self.home.repository.has_issues:
            said.append("issues are switched off")
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]
