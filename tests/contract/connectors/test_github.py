"""The suite on GitHub. An item is a repository with one file, and who may read it is a group."""

from collections.abc import AsyncIterator

import pytest

from headwater.errors import UnauthorisedError
from tests.contract.connectors.clocks import LateEditsContract
from tests.contract.connectors.contract import ConnectorContract
from tests.contract.connectors.items import ANN, fill
from tests.support.github_source import GithubSource, IssueSource, WikiSource, github_source
from tests.support.sources import Follower, SourceHarness


class TestGithub(ConnectorContract):
    kind: type[GithubSource] = GithubSource

    @pytest.fixture
    def source(self, github: GithubSource) -> SourceHarness:
        return github

    @pytest.fixture
    async def github(self) -> AsyncIterator[GithubSource]:
        async with github_source(self.kind) as source:
            source.settings["issues"] = False
            yield source

    async def test_a_change_of_access_costs_no_content(self, source: SourceHarness) -> None:
        """Nor a patch: one group of the directory changes."""
        fill(source)
        follower = Follower(source)
        await follower.follow()
        downloads = source.downloads
        source.share("c/z.md", ANN)
        assert await follower.follow() == []
        assert source.downloads == downloads
        assert follower.view() == source.truth()

    async def test_tokens_of_an_app_that_end_in_mid_sync_are_renewed(self, github: GithubSource) -> None:
        fill(github)
        github.become_app()
        github.server.app.requests_a_token = 3
        follower = Follower(github)
        await follower.follow()
        assert follower.view() == github.truth()
        assert github.server.app.given > 3

    async def test_an_app_that_is_uninstalled_in_mid_sync_deletes_nothing(self, github: GithubSource) -> None:
        fill(github)
        github.become_app()
        follower = Follower(github)
        await follower.follow()
        github.delete("a/x.md")
        github.put("b/y.md", "edited")  # others are looked at after it
        github.before_read("b/y.md", github.server.app.uninstall)
        with pytest.raises(UnauthorisedError):
            await follower.follow()
        assert follower.deleted == []


class TestWikis(TestGithub):
    """An item is a repository whose wiki has one page: what is read goes by git."""

    kind = WikiSource


class TestIssues(LateEditsContract):
    """An item is an issue: what was updated is asked for by GitHub's own times."""

    @pytest.fixture
    async def source(self) -> AsyncIterator[SourceHarness]:
        async with github_source(IssueSource) as source:
            yield source
