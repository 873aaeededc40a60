"""A Confluence site as a source of the directory: settings are text there, and secrets are references."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from pydantic import SecretStr

from connectors.confluence.access import Readers
from connectors.confluence.client import Rest
from connectors.confluence.cloud import CloudSite
from connectors.confluence.connector import ConfluenceConnector
from connectors.confluence.cursor import now
from connectors.confluence.oauth import ServiceAccount
from connectors.confluence.site import Site
from headwater.clients.egress.client import Egress
from headwater.clients.egress.credentials import BasicCredential, BearerCredential
from headwater.clients.egress.requests import Credential
from headwater.clients.egress.source import EgressSource
from headwater.sources.confluence import ConfluenceSettings
from schemas.ids import KnowledgeBaseId, SourceId

GATEWAY: Final = "https://api.atlassian.com/ex/confluence/"  # tokens with scopes open a site there alone
ISSUER: Final = "https://auth.atlassian.com/"
_TOKEN: Final = "secrets.token"  # noqa: S105 - what messages call it, not what it is


def confluence_of(
    settings: ConfluenceSettings,
    *,
    source: SourceId,
    knowledge_base: KnowledgeBaseId,
    secret: Callable[[str], SecretStr],
    egress: Egress,
    gateway: str = GATEWAY,
    issuer: str = ISSUER,
    clock: Callable[[], datetime] = now,
) -> ConfluenceConnector:
    """Return the connector of a site.

    `secret` finds `token` or `client_secret` when it is needed, and raises FatalError where there is none. Cloud sites
    with a `cloud_id` are read through Atlassian's gateway; what they show to nobody is asked of the site itself.
    """
    home = f"{gateway}{settings.cloud_id}/wiki/" if settings.cloud_id else settings.url
    credential = _credential(settings, secret, egress.source(home=issuer, for_credential=True), clock)
    kind = CloudSite if settings.is_cloud else Site
    site = kind(
        Rest(egress.source(home=home, credential=credential), url=home, site_url=settings.url),
        Rest(egress.source(home=settings.url), url=settings.url),
        settings,
    )
    readers = Readers(source=source, settings=settings)
    return ConfluenceConnector(site=site, readers=readers, knowledge_base=knowledge_base, clock=clock)


def _credential(
    settings: ConfluenceSettings,
    secret: Callable[[str], SecretStr],
    issuer: EgressSource,
    clock: Callable[[], datetime],
) -> Credential:
    """Return what opens a site: a bearer in Data Center; in Cloud an API token of an account, or a service account."""
    if settings.client_id:
        return ServiceAccount(
            client_id=settings.client_id, secret=lambda: secret("client_secret"), issuer=issuer, now=clock
        )
    if settings.is_cloud:
        return BasicCredential(name=_TOKEN, user=settings.email or "", read=lambda: secret("token"))
    return BearerCredential(name=_TOKEN, read=lambda: secret("token"))
