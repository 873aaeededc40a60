"""GitHub as a source of the directory: a credential, a client, a connector."""

from collections.abc import Callable

from pydantic import SecretStr

from connectors.github.app import AppSignature, Installation
from connectors.github.client import GithubClient
from connectors.github.connector import GithubConnector
from connectors.github.git_access import GIT_USER, InstallationForGit
from headwater.clients.egress.client import Egress
from headwater.clients.egress.credentials import BasicCredential, BearerCredential
from headwater.clients.egress.requests import Credential
from headwater.sources.github import GithubSettings
from schemas.ids import KnowledgeBaseId, SourceId


def github_connector(
    settings: GithubSettings,
    *,
    egress: Egress,
    secret: Callable[[str], SecretStr],
    source: SourceId,
    knowledge_base: KnowledgeBaseId,
) -> GithubConnector:
    """Return the connector of a source. Its secret, a token or an app's key, is read anew whenever it is used.

    Raises FatalError where the secret is missing.
    """
    installation: Installation | None = None
    credential: Credential = BearerCredential(name="secrets.token", read=lambda: secret("token"))
    for_git: Credential = BasicCredential(name="secrets.token", user=GIT_USER, read=lambda: secret("token"))
    if settings.app is not None and settings.installation is not None:
        signature = AppSignature(app=settings.app, key=lambda: secret("private_key"))
        as_app = egress.source(home=settings.home, credential=signature, for_credential=True)
        credential = installation = Installation(number=settings.installation, app=settings.app, as_app=as_app)
        for_git = InstallationForGit(installation=installation)
    secret("token" if installation is None else "private_key")  # missing: said now, and not by the first request
    return GithubConnector(
        client=GithubClient(
            egress.source(home=settings.home, credential=credential),
            graphql_url=settings.graphql_url,
            git=egress.source(home=settings.git_url, credential=for_git),
        ),
        settings=settings,
        source=source,
        knowledge_base=knowledge_base,
        installation=installation,
    )
