"""GitHub's REST API: pages by Link headers, validators, contents as streams. The egress client waits and repeats."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, TypeAlias, TypeVar
from urllib.parse import quote

from connectors.github.git import GitClient
from connectors.github.graphql import GithubGraphQL
from connectors.github.models import (
    Comparison,
    InstallationRepositories,
    Issue,
    Organisation,
    Reference,
    Release,
    Repository,
    Tree,
    read_as,
)
from connectors.paging import Pages
from headwater.clients.egress.conditional import Validators
from headwater.clients.egress.errors import MissingError, ResponseTooLargeError, SourceAwayError
from headwater.clients.egress.requests import EgressRequest, Fetched, NotModified
from headwater.clients.egress.source import EgressSource
from headwater.errors import PoisonError

INSTALLED: Final = "installation/repositories"  # what an app's installation may read
PAGE_ITEMS: Final = 100  # the most that GitHub gives
COMPARED_FILES: Final = 300  # the most that a comparison tells
JSON: Final = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
_RAW: Final = {"Accept": "application/vnd.github.raw+json", "X-GitHub-Api-Version": "2022-11-28"}
_NEXT: Final = re.compile(r'<([^>]+)>\s*;[^,]*\brel="?next"?')
M = TypeVar("M")

Seen: TypeAlias = tuple[tuple[str, str | None], ...]  # pages of a listing as they were: URL and ETag of each


class FileTooLargeError(PoisonError):
    """A file above the source's limit."""


class FolderTruncatedError(PoisonError):
    """A folder of which GitHub tells a part. What is missing in the answer may be there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A listing, whole, and what recognises it."""

    bodies: tuple[bytes, ...]
    seen: Seen

    def items(self, form: type[M]) -> tuple[M, ...]:
        """Read all pages."""
        return tuple(item for body in self.bodies for item in read_as(tuple[form, ...], body))  # type: ignore[valid-type]  # a type made at run time


class GithubClient:
    """Calls of one source."""

    def __init__(
        self,
        source: EgressSource,
        *,
        graphql_url: str,
        git: EgressSource,
        page_items: int = PAGE_ITEMS,
        compared_files: int = COMPARED_FILES,
    ) -> None:
        self._source, self.page_items, self._compared_files = source, page_items, compared_files
        self.git = GitClient(git)
        self.graphql = GithubGraphQL(source, url=graphql_url, page_items=page_items)

    async def organisation(self, login: str) -> Organisation:
        """Return an organisation."""
        return read_as(Organisation, await self._body(f"orgs/{quote(login)}"))

    async def repository(self, full_name: str) -> Repository:
        """Return a repository by the name it has or had."""
        return read_as(Repository, await self._body(f"repos/{quote(full_name)}"))

    async def repository_by_id(self, repository_id: int) -> Repository | None:
        """Return a repository, whatever its name; None where it is gone or may not be known."""
        try:
            return read_as(Repository, await self._body(f"repositories/{repository_id}"))
        except MissingError:
            return None

    async def some_of(self, organisation: str | None, most: int) -> Sequence[Repository]:
        """Return so many repositories of an organisation, or of the installation; at most a page of them."""
        if organisation is None:
            body = await self._body(f"{INSTALLED}?per_page={most}")
            return read_as(InstallationRepositories, body).repositories
        body = await self._body(f"orgs/{quote(organisation)}/repos?type=all&per_page={most}")
        return read_as(tuple[Repository, ...], body)

    async def answers(self, path: str) -> None:
        """Raise what a path is refused with."""
        await self._fetched(f"{path}?per_page=1")

    def below(self, repository: Repository, path: str) -> str:
        """Return the path of something of a repository."""
        return f"repos/{quote(repository.full_name)}/{path}"

    async def head(self, repository: Repository, etag: str | None) -> tuple[str, str | None] | None:
        """Return the newest commit of the default branch and its ETag; None where that of `etag` still is it."""
        branch = quote(repository.default_branch or "HEAD", safe="/")
        answer = await self._fetch(self.below(repository, f"git/ref/heads/{branch}"), etag)
        if isinstance(answer, NotModified):
            return None
        return read_as(Reference, answer.content).object.sha, answer.validators.etag

    async def compare(self, repository: Repository, base: str, head: str) -> Comparison | None:
        """Return what `head` adds to `base`; None where it does not follow from it, or not all of it is told."""
        try:
            body = await self._body(self.below(repository, f"compare/{base}...{head}?per_page=1"))
        except (MissingError, ResponseTooLargeError):
            return None
        found = read_as(Comparison, body)
        return found if found.status in {"ahead", "identical"} and len(found.files) < self._compared_files else None

    async def tree(self, repository: Repository, sha: str, *, recursive: bool) -> Tree:
        """Return a folder, or with all below it, which may be truncated. Raise FolderTruncatedError for half of one."""
        path = self.below(repository, f"git/trees/{sha}")
        found = read_as(Tree, await self._body(f"{path}?recursive=1" if recursive else path))
        if found.truncated and not recursive:
            raise FolderTruncatedError(
                f"{repository.full_name}: one of its folders is larger than GitHub tells in one answer; its files are "
                "not compared, and nothing is deleted"
            )
        return found

    async def content(self, repository: Repository, sha: str, *, max_bytes: int) -> AsyncIterator[bytes]:
        """Yield a blob's bytes. Raise FileTooLargeError above the limit."""
        url = self.below(repository, f"git/blobs/{sha}")
        try:
            async with self._source.stream(EgressRequest(url=url, headers=_RAW, max_bytes=max_bytes)) as answer:
                if isinstance(answer, NotModified):
                    raise SourceAwayError("a blob was answered with 304 without a condition; try again later")
                async for piece in answer.pieces:
                    yield piece
        except ResponseTooLargeError as error:
            raise FileTooLargeError(f"more than {max_bytes} bytes; raise max_bytes or exclude it") from error

    async def issue(self, repository: Repository, number: int) -> Issue | None:
        """Return an issue of this repository; None where it is gone: deleted, or moved to another."""
        try:
            found = read_as(Issue, await self._body(self.below(repository, f"issues/{number}")))
        except MissingError:
            return None
        if found.repository_url.casefold().endswith(f"/repos/{repository.full_name}".casefold()):
            return found
        # Moved to another repository, or this one was renamed just now.
        home = read_as(Repository, await self._body(found.repository_url))
        return found if home.id == repository.id else None

    async def release(self, repository: Repository, number: int) -> Release | None:
        """Return a release by its id; None where it is gone."""
        try:
            return read_as(Release, await self._body(self.below(repository, f"releases/{number}")))
        except MissingError:
            return None

    async def unchanged(self, seen: Seen) -> bool:
        """Say whether all pages of a listing are as they were."""
        for url, etag in seen:
            if etag is None or not isinstance(await self._fetch(url, etag), NotModified):
                return False
        return bool(seen)

    async def listing(self, path: str, query: Mapping[str, str] | None = None) -> Listing:
        """Return a listing whole, following its links.

        A last page that is full is followed by one more: what is added later shows there, and not on the pages before.
        """
        bodies: list[bytes] = []
        seen: list[tuple[str, str | None]] = []
        async for url, page in self.pages(path, query):
            bodies.append(page.content)
            seen.append((url, page.validators.etag))
        if len(read_as(tuple[object, ...], bodies[-1])) == self.page_items:
            url = self._url(path, {**(query or {}), "page": str(len(bodies) + 1)})
            seen.append((url, (await self._fetched(url)).validators.etag))
        return Listing(bodies=tuple(bodies), seen=tuple(seen))

    async def pages(self, path: str, query: Mapping[str, str] | None = None) -> AsyncIterator[tuple[str, Fetched]]:
        """Yield each page of a listing with its URL. Raise EndlessListingError where links lead back."""
        url: str | None = (first := self._url(path, query or {}))
        pages = Pages(name=path, first=first)
        while url is not None:
            page = await self._fetched(url)
            yield url, page
            found = _NEXT.search(page.headers.get("link", ""))
            url = pages.after(found[1]) if found else None

    def _url(self, path: str, query: Mapping[str, str]) -> str:
        asked: Sequence[str] = [f"{name}={quote(value, safe='')}" for name, value in query.items()]
        return f"{path}?{'&'.join([*asked, f'per_page={self.page_items}'])}"

    async def conditional(self, path: str, query: Mapping[str, str], etag: str | None) -> Fetched | None:
        """Return one page; None where it is as it was."""
        return await self.changed(self._url(path, query), etag)

    async def changed(self, url: str, etag: str | None) -> Fetched | None:
        """Return a page by its URL; None where it is as it was."""
        answer = await self._fetch(url, etag)
        return None if isinstance(answer, NotModified) else answer

    async def _body(self, url: str) -> bytes:
        return (await self._fetched(url)).content

    async def _fetched(self, url: str) -> Fetched:
        answer = await self._fetch(url, None)
        if isinstance(answer, NotModified):
            raise SourceAwayError("answered with 304 without a condition; try again later")
        return answer

    async def _fetch(self, url: str, etag: str | None) -> Fetched | NotModified:
        return await self._source.fetch(EgressRequest(url=url, headers=JSON, validators=Validators(etag=etag)))


def stated_at(answer: Fetched) -> datetime | None:
    """Return GitHub's time of an answer; None where it is not told."""
    try:
        return parsedate_to_datetime(answer.headers["date"]).astimezone(UTC)
    except (KeyError, ValueError):
        return None
