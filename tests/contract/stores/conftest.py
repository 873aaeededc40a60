"""One installation for all tests of a file: creating indices takes seconds, emptying them does not."""

import asyncio
from collections.abc import Iterator

import pytest

from headwater.settings import Settings
from tests.support.installations import installed_stores
from tests.support.rows import DIMENSION
from tests.support.stack import RunningStack


@pytest.fixture(scope="module")
def stores(stack: RunningStack) -> Iterator[Settings]:
    """Settings of an installation of this file's own, removed at its end."""
    installed = installed_stores(stack, dimension=DIMENSION)
    with asyncio.Runner() as runner:
        settings = runner.run(installed.__aenter__())
        try:
            yield settings
        finally:
            runner.run(installed.__aexit__(None, None, None))
