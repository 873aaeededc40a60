"""An installation for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.admission import Installation, installation
from tests.support.stack import RunningStack


@pytest.fixture
async def own(stack: RunningStack, tmp_path: Path) -> AsyncIterator[Installation]:
    """Topics that nobody else uses. No process runs: what a runner submits is read from the log."""
    async with installation(stack, tmp_path) as opened:
        yield opened
