"""What goes to connectors/registry.py: this function, and a line in KINDS; settings have one in headwater/sources."""

from connectors.registry import Connected, Description
from docs.templates.connector.client import HttpPages
from docs.templates.connector.connector import TemplateConnector
from docs.templates.connector.settings import TemplateSettings
from headwater.clients.egress.credentials import BearerCredential


def template(of: Description) -> Connected:
    """Build the connector of a source. The token is read anew for each request, so that it may be exchanged.

    Whatever it calls, it calls by way of `egress`: within the source's one budget.
    """
    settings = of.settings(TemplateSettings)
    token = BearerCredential(name="secrets.token", read=lambda: of.secret("token"))
    egress = of.within(settings)
    pages = HttpPages(egress.source(home=settings.url, credential=token), spaces=settings.spaces)
    connector = TemplateConnector(pages=pages, knowledge_base=of.source.knowledge_base)
    return Connected(connector=connector, waits_until=egress.waits_until)
