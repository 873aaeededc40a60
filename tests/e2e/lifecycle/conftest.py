"""A product of their own for tests that build whole stores anew: they would do it for every other test's documents."""

from collections.abc import Iterator

import pytest

from tests.support.platform import Platform, running_platform
from tests.support.stack import RunningStack


@pytest.fixture(scope="package")
def platform(stack: RunningStack) -> Iterator[Platform]:
    """The whole product, with few documents, stopped when these tests are over. Only for tests marked `real`."""
    with running_platform(stack, name="lifecycle") as running:
        yield running
