"""The suite on a Confluence site."""

from collections.abc import AsyncIterator

import pytest

from headwater.errors import FatalError
from tests.contract.connectors.clocks import LateEditsContract
from tests.contract.connectors.contract import ConnectorContract
from tests.contract.connectors.items import fill
from tests.support.confluence import ConfluenceSource, confluence_source
from tests.support.confluence_cloud import CloudServer
from tests.support.confluence_server import ConfluenceServer
from tests.support.sources import Follower, SourceHarness

NARROW = {"blog_posts": False, "comments": False, "attachments": False}


@pytest.fixture
async def wiki(request: pytest.FixtureRequest) -> AsyncIterator[ConfluenceSource]:
    async with confluence_source(request.param) as source:
        source.settings, source.server.page_size = NARROW | {"nested_groups": False}, 4
        yield source


@pytest.mark.parametrize("wiki", [ConfluenceServer, CloudServer], indirect=True)
class TestConfluence(ConnectorContract):
    @pytest.fixture
    def source(self, wiki: ConfluenceSource) -> SourceHarness:
        return wiki

    @pytest.mark.parametrize("requests", range(1, 9, 2))
    async def test_a_token_that_expires_in_mid_sync_deletes_nothing(
        self, wiki: ConfluenceSource, requests: int
    ) -> None:
        fill(wiki)
        follower = Follower(wiki)
        await follower.follow()
        wiki.delete("a/x.md")
        wiki.server.expires_after = requests
        with pytest.raises(FatalError, match=r"secrets\.token"):
            await follower.follow()
        assert follower.deleted == []


@pytest.mark.parametrize("wiki", [ConfluenceServer, CloudServer], indirect=True)
class TestSearches(LateEditsContract):
    """Between two listings: what was edited is found by its time alone."""

    @pytest.fixture
    def source(self, wiki: ConfluenceSource) -> SourceHarness:
        wiki.settings |= {"listing_every_s": 86_400}
        return wiki
