"""An installation for each test."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.admission import Installation, installation
from tests.support.stack import RunningStack


@pytest.fixture
async def own(stack: RunningStack, tmp_path: Path) -> AsyncIterator[Installation]:
    """Topics, folder and processes that nobody else uses."""
    async with installation(stack, tmp_path) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    """One admission worker and one follower for a module, the tenant set up: each test has its own documents."""
    async with installation(stack, tmp_path_factory.mktemp("admission")) as opened:
        await asyncio.gather(opened.follower(), opened.admission())
        await opened.settle_in()
        yield opened
