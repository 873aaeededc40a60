"""The suite on GitHub. An item is a repository with one file, and who may read it is a group."""

from collections.abc import AsyncIterator

import pytest

from headwater.errors import UnauthorisedError
from tests.contract.connectors.clocks import ClocksContract, LateEditsContract
from tests.contract.connectors.contract import AccessContract, ConnectorContract
from tests.contract.connectors.credentials import CredentialsContract
from tests.contract.connectors.items import ANN, fill
from tests.contract.connectors.kills import KillsContract
from tests.contract.connectors.repeats import RepeatsContract
from tests.support.github_source import GithubSource, WikiSource, github_source
from tests.support.github_written import CommentSource, DiscussionSource, IssueSource, ReleaseSource
from tests.support.sources import Follower, SourceHarness


async def costs_no_content(source: SourceHarness) -> None:
    """Change who may read an item: nothing is read nor patched, for a group of the directory changes."""
    fill(source)
    follower = Follower(source)
    await follower.follow()
    downloads = source.downloads
    source.share("c/z.md", ANN)
    assert await follower.follow() == []
    assert source.downloads == downloads
    assert follower.view() == source.truth()


class TestGithub(ConnectorContract):
    kind: type[GithubSource] = GithubSource

    @pytest.fixture
    def source(self, github: GithubSource) -> SourceHarness:
        return github

    @pytest.fixture
    async def github(self) -> AsyncIterator[GithubSource]:
        async with github_source(self.kind) as source:
            source.settings.setdefault("issues", False)
            yield source

    async def test_a_change_of_access_costs_no_content(self, source: SourceHarness) -> None:
        await costs_no_content(source)

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


class TestIssues(TestGithub):
    """An item is a repository with an issue, and of that the comment: nothing but its own time tells of an edit."""

    kind = CommentSource


class TestLateIssues(LateEditsContract):
    """An item is an issue of one repository: what was updated is asked for by GitHub's own times."""

    @pytest.fixture
    async def source(self) -> AsyncIterator[SourceHarness]:
        async with github_source(IssueSource) as source:
            yield source


class ListedContract(AccessContract, KillsContract, RepeatsContract, ClocksContract, CredentialsContract):
    """What is listed with its content: an old state is submitted where another one came between listing and reading."""

    kind: type[GithubSource]

    @pytest.fixture
    async def source(self) -> AsyncIterator[SourceHarness]:
        async with github_source(self.kind) as source:
            source.settings.setdefault("issues", False)
            yield source

    async def test_a_change_of_access_costs_no_content(self, source: SourceHarness) -> None:
        await costs_no_content(source)


class TestReleases(ListedContract):
    """An item is a repository with a release."""

    kind = ReleaseSource


class TestDiscussions(ListedContract):
    """An item is a repository with a discussion."""

    kind = DiscussionSource
