"""A synthetic organisation behind a server that speaks GitHub's REST API."""

from collections.abc import AsyncIterator

import pytest

from connectors.leaves import Ledger
from tests.support.github_source import OrganisationFollower, OrganisationSource, github_source
from tests.support.sources import Follower


@pytest.fixture
async def source() -> AsyncIterator[OrganisationSource]:
    async with github_source(OrganisationSource) as source:
        yield source


@pytest.fixture
def follower(source: OrganisationSource) -> Follower:
    return OrganisationFollower(source, batch=2)


@pytest.fixture
def small_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let neighbours be in parts of their own."""
    monkeypatch.setattr(Ledger.__init__, "__kwdefaults__", {"leaf_items": 1})
