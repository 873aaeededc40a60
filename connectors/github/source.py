"""GitHub as a source of the directory: a credential, a client, a connector."""

from collections.abc import Callable

from pydantic import SecretStr

from connectors.github.client import GithubClient
from connectors.github.connector import GithubConnector
from connectors.github.settings import GithubSettings
from headwater.clients.egress.client import Egress
from headwater.clients.egress.credentials import BearerCredential
from schemas.ids import KnowledgeBaseId, SourceId


def github_connector(
    settings: GithubSettings,
    *,
    egress: Egress,
    secret: Callable[[str], SecretStr],
    source: SourceId,
    knowledge_base: KnowledgeBaseId,
) -> GithubConnector:
    """Return the connector of a source. The token is read anew for each request."""
    token = BearerCredential(name="secrets.token", read=lambda: secret("token"))
    client = GithubClient(egress.source(home=settings.home, credential=token))
    return GithubConnector(client=client, settings=settings, source=source, knowledge_base=knowledge_base)
