"""Whether a source can be read: what is missing is named."""

from connectors.github.client import GithubClient
from connectors.github.models import Repository
from connectors.github.settings import GithubSettings
from connectors.protocol import SourceGoneError
from headwater.clients.egress.errors import ForbiddenError, MissingError
from headwater.errors import UnauthorisedError


async def check_rights(client: GithubClient, settings: GithubSettings) -> None:
    """Read the first repository as a sync does.

    Raises SourceGoneError where there is none of the settings' organisation or repositories, UnauthorisedError naming
    the right that the token lacks.
    """
    repository = await _first(client, settings)
    if repository is None:
        return
    if not (repository.seen_by == "public" and settings.public == "everyone"):
        await _allowed(client, repository, "collaborators", "to list collaborators: repository administration (read)")
    if settings.issues and repository.has_issues:
        await _allowed(client, repository, "issues", "to read issues and pull requests")
    if repository.default_branch is not None:
        branch = f"git/ref/heads/{repository.default_branch}"
        await _allowed(client, repository, branch, "to read contents", may_be_missing=True)


async def _first(client: GithubClient, settings: GithubSettings) -> Repository | None:
    try:
        if settings.organisation is None:
            return await client.repository(settings.repositories[0])
        await client.organisation(settings.organisation)
        return await client.any_of(settings.organisation)
    except MissingError as error:
        named = settings.organisation or settings.repositories[0]
        name = "organisation" if settings.organisation is not None else "repositories"
        raise SourceGoneError(
            f"settings.{name}: {named}: {error}; correct the name, or give the token access to it"
        ) from error
    except ForbiddenError as error:
        raise UnauthorisedError(f"secrets.token: {error}; authorise it for the organisation") from error


async def _allowed(
    client: GithubClient, repository: Repository, path: str, right: str, *, may_be_missing: bool = False
) -> None:
    try:
        await client.answers(client.below(repository, path))
    except (ForbiddenError, MissingError) as error:
        if may_be_missing and isinstance(error, MissingError):
            return
        raise UnauthorisedError(
            f"secrets.token: lacks the right {right}, of {repository.full_name}; give it ({error})"
        ) from error
