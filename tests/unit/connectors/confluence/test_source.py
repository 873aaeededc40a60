"""A site of the directory: its settings are text, its token a reference that is missed by name."""

from pathlib import Path

import pytest

from connectors.confluence.cloud import CloudSite
from connectors.confluence.connector import ConfluenceConnector
from connectors.protocol import FullConnector, ItemConnector, PermissionsConnector
from connectors.registry import connect
from headwater.errors import FatalError
from headwater.settings import ConnectorSettings
from schemas.events.directory import Source
from schemas.ids import KnowledgeBaseId, SourceId, TenantId
from tests.support.egress import FakeClock, egress

WIKI = (TenantId("acme"), SourceId("wiki"))


def site(secrets: dict[str, str], **settings: str) -> Source:
    return Source(
        name="Wiki", kind="confluence", knowledge_base=KnowledgeBaseId("wiki"), settings=settings, secrets=secrets
    )


async def test_a_site_is_connected_by_its_settings(tmp_path: Path) -> None:
    limits = ConnectorSettings(secrets_folder=tmp_path)
    async with egress(FakeClock()) as way_out:
        wiki = site({}, url="http://wiki.test:1", spaces="[ENG, HR]", users="{asmith: ann}", nested_groups="false")
        found = connect(WIKI, wiki, limits, way_out).connector
        assert isinstance(found, ConfluenceConnector)
        assert isinstance(found, FullConnector)
        assert isinstance(found, ItemConnector)
        assert isinstance(found, PermissionsConnector)
        assert (found.site.settings.spaces, found.site.settings.nested_groups) == (("ENG", "HR"), False)
        assert found.readers.source == "wiki"
        with pytest.raises(FatalError, match=r"secrets\.token: missing"):
            await found.check()
        cloud = site({"token": "file:wiki"}, url="https://acme.atlassian.net/wiki/", email="bot@example.org")
        connected = connect(WIKI, cloud, limits, way_out).connector
        assert isinstance(connected, ConfluenceConnector)
        assert isinstance(connected.site, CloudSite)
        with pytest.raises(FatalError, match=r"settings\.page_size"):
            connect(WIKI, site({}, url="http://wiki.test:1", page_size="many"), limits, way_out)
