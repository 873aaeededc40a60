"""Which repositories a source reads: those of an organisation, of a list, or of an app's installation."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from connectors.github.app import Installation
from connectors.github.client import INSTALLED, GithubClient
from connectors.github.cursor import known_repositories
from connectors.github.documents import readers_group
from connectors.github.models import InstallationRepositories, Repository, read_as
from connectors.protocol import Cursor, ItemFailed
from headwater.clients.egress.errors import MissingError
from headwater.errors import FatalError, PoisonError, SourceGoneError
from headwater.sources.github import GithubSettings


class EmptyListingError(FatalError):
    """A listing that cannot be believed. Nothing is deleted on its word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a source reads now. `gone`: ids of what it read before and does not any more."""

    repositories: Sequence[Repository]
    gone: Sequence[int]
    failed: Sequence[ItemFailed]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Finds repositories."""

    client: GithubClient
    settings: GithubSettings
    installation: Installation | None = None

    async def found(self, since: Cursor) -> Found:
        """Return what there is. Raise EmptyListingError for nothing where there was something.

        What is held and not listed is asked for by its id before it counts as gone: pages shift while they are read.
        """
        listed, failed = await self._listed()
        known = known_repositories(since)
        if not listed and known:
            raise EmptyListingError(
                f"{self.named}: lists no repository where there were some; nothing is deleted. If they are really "
                "gone, remove the source; else check the rights of its token"
            )
        by_id = {each.id: each for each in listed if self._is_wanted(each)}
        gone, unread = [], _unread(failed)
        for missing in sorted(known - by_id.keys()):
            try:
                again = await self.client.repository_by_id(missing)
                found = again if again is not None and self._is_wanted(again) else None
                stays = found is not None and await self._is_ours(found)
            except PoisonError as error:  # neither there nor gone: what is held stays, for nobody
                failed = [*failed, ItemFailed(external_id=readers_group(missing), error=error)]
                continue
            if found is not None and stays:
                by_id[missing] = found
            elif found is None or unread is None:  # else it may be what the unread name leads to: it stays, for nobody
                gone.append(missing)
        return Found(repositories=sorted(by_id.values(), key=lambda each: each.id), gone=gone, failed=failed)

    async def one(self, repository_id: int) -> Repository | None:
        """Return a repository of this source; None where it is gone or another's. Raises PoisonError for neither."""
        found = await self.client.repository_by_id(repository_id)
        if found is None or not self._is_wanted(found):
            return None
        if await self._is_ours(found):
            return found
        # A list may lead to it by a name that it had.
        listed, failed = await self._listed() if self.settings.repositories else ((), ())
        if any(each.id == repository_id for each in listed):
            return found
        if error := _unread(failed):
            raise error
        return None

    @property
    def named(self) -> str:
        """Return what messages call it: the setting."""
        if self.settings.organisation is not None:
            return f"settings.organisation: {self.settings.organisation}"
        if self.settings.of_installation:
            return f"settings.installation: {self.settings.installation}"
        return f"settings.repositories: {', '.join(self.settings.repositories)}"

    async def _listed(self) -> tuple[Sequence[Repository], Sequence[ItemFailed]]:
        found: list[Repository] = []
        if not self.settings.repositories:
            try:
                async for page in self._pages():
                    found += page
            except MissingError as error:
                raise SourceGoneError(f"{self.named}: {error}") from error
            except PoisonError as error:
                raise FatalError(f"{self.named}: its repositories cannot be listed: {error}") from error
            return found, ()
        failed: list[ItemFailed] = []
        for full_name in self.settings.repositories:
            try:
                found.append(await self.client.repository(full_name))
            except PoisonError as error:
                failed.append(ItemFailed(external_id=full_name, error=error))
        return found, failed

    async def _pages(self) -> AsyncIterator[Sequence[Repository]]:
        organisation = self.settings.organisation
        if organisation is None:
            async for _, page in self.client.pages(INSTALLED):
                yield read_as(InstallationRepositories, page.content).repositories
            return
        async for _, page in self.client.pages(f"orgs/{quote(organisation)}/repos", {"type": "all"}):
            yield read_as(tuple[Repository, ...], page.content)

    async def _is_ours(self, repository: Repository) -> bool:
        if self.settings.of_installation:
            return self.installation is not None and await self.installation.has(repository)
        if self.settings.organisation is not None:
            return repository.owner.login.casefold() == self.settings.organisation.casefold()
        return repository.full_name.casefold() in {each.casefold() for each in self.settings.repositories}

    def _is_wanted(self, repository: Repository) -> bool:
        return (self.settings.archived or not repository.archived) and (self.settings.forks or not repository.fork)


def _unread(failed: Sequence[ItemFailed]) -> PoisonError | None:
    """Return why a name of the list could not be read, where that does not say that there is nothing of this name."""
    errors = (each.error for each in failed if not isinstance(each.error, MissingError))
    return next((error for error in errors if isinstance(error, PoisonError)), None)
