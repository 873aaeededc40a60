"""Whether a source can be read: what is missing is named."""

from connectors.github.app import Installation
from connectors.github.client import GithubClient
from connectors.github.models import Repository
from headwater.clients.egress.errors import ForbiddenError, MissingError, RequestRefusedError
from headwater.errors import SourceGoneError, UnauthorisedError
from headwater.sources.github import GithubSettings


async def check_rights(
    client: GithubClient, settings: GithubSettings, installation: Installation | None = None
) -> None:
    """Read the first repository as a sync does.

    Raises SourceGoneError where there is none of the settings' organisation, repositories or installation,
    UnauthorisedError naming the right that the token lacks.
    """
    repository = await _first(client, settings, installation)
    if repository is None:
        return
    secret = "secrets.token"  # noqa: S105 - what messages call it, not what it is
    if installation is not None:
        secret = f"settings.installation {installation.number}"
        await _granted(installation, repository, settings)
    if not (repository.seen_by == "public" and settings.public == "everyone"):
        right = "to list collaborators: repository administration (read)"
        await _allowed(client, repository, "collaborators", right, secret=secret)
    if settings.issues and repository.has_issues:
        await _allowed(client, repository, "issues", "to read issues and pull requests", secret=secret)
    if repository.default_branch is not None:
        branch = f"git/ref/heads/{repository.default_branch}"
        await _allowed(client, repository, branch, "to read contents", secret=secret, may_be_missing=True)
    if settings.wikis and repository.has_wiki:
        try:
            await client.git.head(repository)
        except MissingError:
            return  # no page was ever written
        except ForbiddenError as error:
            raise UnauthorisedError(
                f"{secret}: lacks the right to read contents, of the wiki of {repository.full_name}; give it ({error})"
            ) from error


async def _first(
    client: GithubClient, settings: GithubSettings, installation: Installation | None
) -> Repository | None:
    if settings.organisation is not None:
        field, named = "organisation", settings.organisation
    elif settings.repositories:
        field, named = "repositories", settings.repositories[0]
    else:
        field, named = "installation", str(settings.installation)
    try:
        if field == "repositories":
            return await client.repository(named)
        if settings.organisation is not None:
            await client.organisation(settings.organisation)
        return await client.any_of(settings.organisation)
    except MissingError as error:
        who = "the token" if installation is None else "the app"
        raise SourceGoneError(
            f"settings.{field}: {named}: {error}; correct the name, or give {who} access to it"
        ) from error
    except ForbiddenError as error:
        where = "secrets.token" if installation is None else f"settings.installation {installation.number}"
        raise UnauthorisedError(f"{where}: {error}; authorise it for the organisation") from error


async def _granted(installation: Installation, repository: Repository, settings: GithubSettings) -> None:
    """Raise for all that the installation lacks at once: each right that is granted later is approved by somebody."""
    wanted = ["contents", "metadata"]
    if settings.issues:
        wanted += ["issues", "pull_requests"]
    if settings.discussions:
        wanted.append("discussions")
    if repository.owner.type == "Organization":
        wanted += ["administration", "members"]
    lacking = await installation.lacks(wanted)
    if lacking:
        raise UnauthorisedError(
            f"settings.installation {installation.number}: lacks {', '.join(lacking)} (read); add them to the "
            f"permissions of app {installation.app}, and let {repository.owner.login} accept them"
        )


async def _allowed(
    client: GithubClient, repository: Repository, path: str, right: str, *, secret: str, may_be_missing: bool = False
) -> None:
    try:
        await client.answers(client.below(repository, path))
    except RequestRefusedError:
        if not may_be_missing:  # 409: a repository without a commit
            raise
    except (ForbiddenError, MissingError) as error:
        if may_be_missing and isinstance(error, MissingError):
            return
        raise UnauthorisedError(
            f"{secret}: lacks the right {right}, of {repository.full_name}; give it ({error})"
        ) from error
