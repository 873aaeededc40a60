"""A Confluence site as a source of the directory: settings are text there, and the token a reference."""

from collections.abc import Callable

from pydantic import SecretStr

from connectors.confluence.access import Readers
from connectors.confluence.client import Rest
from connectors.confluence.cloud import CloudSite
from connectors.confluence.connector import ConfluenceConnector
from connectors.confluence.settings import ConfluenceSettings
from connectors.confluence.site import Site
from headwater.clients.egress.client import Egress
from headwater.clients.egress.credentials import BasicCredential, BearerCredential
from headwater.clients.egress.requests import Credential
from schemas.ids import KnowledgeBaseId, SourceId

_TOKEN = "secrets.token"  # noqa: S105 - what messages call it, not what it is


def confluence_of(
    settings: ConfluenceSettings,
    *,
    source: SourceId,
    knowledge_base: KnowledgeBaseId,
    token: Callable[[], SecretStr],
    egress: Egress,
) -> ConfluenceConnector:
    """Return the connector of a site. Cloud takes an API token with its account's address, Data Center a bearer.

    `token` is asked for each request, and raises FatalError where there is none.
    """
    credential: Credential = BearerCredential(name=_TOKEN, read=token)
    if settings.is_cloud:
        credential = BasicCredential(name=_TOKEN, user=settings.email or "", read=token)
    kind = CloudSite if settings.is_cloud else Site
    site = kind(
        Rest(egress.source(home=settings.url, credential=credential), url=settings.url),
        Rest(egress.source(home=settings.url), url=settings.url),
        settings,
    )
    return ConfluenceConnector(
        site=site, readers=Readers(source=source, settings=settings), knowledge_base=knowledge_base
    )
