"""Whether a source can be read: all that is missing is named at once."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Final
from urllib.parse import quote

from connectors.github.app import Installation
from connectors.github.client import GithubClient
from connectors.github.models import Repository
from headwater.clients.egress.errors import ForbiddenError, MissingError, RequestRefusedError
from headwater.errors import PoisonError, SourceGoneError, UnauthorisedError
from headwater.sources.github import GithubSettings

# Of more repositories nothing is asked: a test has a minute, and a source may have a budget of 1.3 requests a second.
ASKED_REPOSITORIES: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """A right that the settings call for, and a small request that is refused without it."""

    name: str
    of: str  # what it is about: a repository, an organisation
    ask: Callable[[], Awaitable[object]]
    may_be_missing: bool = False  # 404 and 409 are answers too: a repository without a commit, a wiki without a page


@dataclass(frozen=True, slots=True, kw_only=True)
class Checking:
    """Asks as a sync does."""

    client: GithubClient
    settings: GithubSettings
    installation: Installation | None = None

    async def ready(self) -> None:
        """Read the first repository: its files, issues, wiki, and who reads it.

        Raises SourceGoneError where there is none of the settings' organisation, repositories or installation,
        UnauthorisedError naming the rights that the token lacks.
        """
        found, _ = await self._found(1)
        await self._raise_for(found, self._needed(found))

    async def check(self) -> None:
        """Ask for all that the settings turn on, of the first repositories. Raises as `ready`, for all of it."""
        found, gone = await self._found(ASKED_REPOSITORIES)
        rights = chain(self._needed(found), self._of_organisations(found), self._of_parts(found))
        await self._raise_for(found, rights, gone)

    async def _found(self, most: int) -> tuple[Sequence[Repository], Sequence[str]]:
        """Return so many repositories, and the names of a list that lead to none."""
        who = "the token" if self.installation is None else "the app"
        field, named = "installation", str(self.settings.installation)
        if self.settings.organisation is not None:
            field, named = "organisation", self.settings.organisation
        elif self.settings.repositories:
            field, named = "repositories", ", ".join(self.settings.repositories[:most])
        try:
            if field == "repositories":
                return await self._named(self.settings.repositories[:most])
            if self.settings.organisation is not None:
                await self.client.organisation(self.settings.organisation)
            return await self.client.some_of(self.settings.organisation, most), ()
        except MissingError as error:
            raise SourceGoneError(
                f"settings.{field}: {named}: {error}; correct the name, or give {who} access to it"
            ) from error
        except ForbiddenError as error:
            raise UnauthorisedError(f"{self._secret}: {error}; authorise it for the organisation") from error

    async def _named(self, names: Iterable[str]) -> tuple[Sequence[Repository], Sequence[str]]:
        """Raise MissingError where none is there."""
        found: list[Repository] = []
        gone: dict[str, MissingError] = {}
        for name in names:
            try:
                found.append(await self.client.repository(name))
            except MissingError as error:
                gone[name] = error
        if not found:
            raise next(iter(gone.values()))
        return found, tuple(gone)

    @property
    def _secret(self) -> str:
        """Name what the rights belong to."""
        return "secrets.token" if self.installation is None else f"settings.installation {self.installation.number}"

    async def _raise_for(self, found: Sequence[Repository], rights: Iterable[Right], gone: Sequence[str] = ()) -> None:
        if self.installation is not None and found:
            await self._granted(self.installation, found[0])
        lacking: dict[str, list[str]] = {}
        why: PoisonError | None = None
        for right in rights:
            error = await _refusal(right)
            if error is not None:
                lacking.setdefault(right.name, []).append(right.of)
                why = why or error
        wrong = [f"the right {name}, of {', '.join(of)}" for name, of in lacking.items()]
        names = (
            f"settings.repositories: {', '.join(gone)}: not there, or not for {self._secret} to know of; correct them"
        )
        if wrong:
            also = f". {names}" if gone else ""
            raise UnauthorisedError(f"{self._secret}: lacks {'; '.join(wrong)}; give it ({why}){also}") from why
        if gone:
            raise SourceGoneError(names)

    async def _granted(self, installation: Installation, repository: Repository) -> None:
        """Raise for all that the installation lacks: each right that is granted later is approved by somebody."""
        wanted = ["contents", "metadata"]
        if self.settings.issues:
            wanted += ["issues", "pull_requests"]
        if self.settings.discussions:
            wanted.append("discussions")
        if repository.owner.type == "Organization":
            wanted += ["administration", "members"]
        lacking = await installation.lacks(wanted)
        if lacking:
            raise UnauthorisedError(
                f"settings.installation {installation.number}: lacks {', '.join(lacking)} (read); add them to the "
                f"permissions of app {installation.app}, and let {repository.owner.login} accept them"
            )

    def _needed(self, found: Sequence[Repository]) -> Iterator[Right]:
        """Yield what a sync begins with: who reads each repository, and of one each its issues, files and wiki."""
        for each in found:
            if not (each.seen_by == "public" and self.settings.public == "everyone"):
                yield self._right("to list collaborators: repository administration (read)", each, "collaborators")
        for each in [one for one in found if self.settings.issues and one.has_issues][:1]:
            yield self._right("to read issues and pull requests", each, "issues")
        for each in [one for one in found if one.default_branch is not None][:1]:
            yield self._right("to read contents", each, f"git/ref/heads/{each.default_branch}", may_be_missing=True)
        for each in [one for one in found if self.settings.wikis and one.has_wiki][:1]:
            of = f"the wiki of {each.full_name}"
            yield Right(name="to read contents", of=of, ask=partial(self.client.git.head, each), may_be_missing=True)

    def _of_parts(self, found: Sequence[Repository]) -> Iterator[Right]:
        """Yield what other parts of repositories need, each of the first one that has it."""
        for each in [one for one in found if one.owner.type == "Organization"][:1]:
            yield self._right("to list a repository's teams: repository administration (read)", each, "teams")
        for each in [one for one in found if self.settings.issues and one.has_issues][:1]:
            yield self._right("to read pull requests", each, "pulls/comments")
        for each in found[:1] if self.settings.releases else ():
            yield self._right("to read releases: contents (read)", each, "releases")
        for each in [one for one in found if self.settings.discussions and one.has_discussions][:1]:
            ask = partial(self.client.graphql.answers, each)
            yield Right(name="to read discussions", of=each.full_name, ask=ask)

    def _of_organisations(self, found: Sequence[Repository]) -> Iterator[Right]:
        """Yield what the groups of members and teams need, of each organisation that owns one of the repositories."""
        for login in sorted({each.owner.login for each in found if each.owner.type == "Organization"}):
            for what in ("members", "teams"):
                name = f"to list {what} of an organisation: members (read), or read:org"
                yield Right(name=name, of=login, ask=partial(self.client.answers, f"orgs/{quote(login)}/{what}"))

    def _right(self, name: str, of: Repository, path: str, *, may_be_missing: bool = False) -> Right:
        ask = partial(self.client.answers, self.client.below(of, path))
        return Right(name=name, of=of.full_name, ask=ask, may_be_missing=may_be_missing)


async def _refusal(right: Right) -> PoisonError | None:
    """Return what a right is refused with; None where there is it."""
    try:
        await right.ask()
    except RequestRefusedError:
        if not right.may_be_missing:  # 409: a repository without a commit
            raise
    except (ForbiddenError, MissingError) as error:
        if not (right.may_be_missing and isinstance(error, MissingError)):
            return error
    return None
