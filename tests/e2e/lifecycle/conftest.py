"""A product of their own for tests that build whole stores anew, or strike components: others would suffer."""

import os
from collections.abc import Iterator

import pytest

from tests.chaos.scene import Target
from tests.chaos.target import half_shared
from tests.support.infrastructure import infrastructure_of
from tests.support.platform import Platform, running_platform
from tests.support.stack import RunningStack

NAME = "lifecycle"


@pytest.fixture(scope="package")
def target(stack: RunningStack) -> Iterator[Target]:
    """The whole product, with few documents, stopped when these tests are over. Only for tests marked `real`.

    Where the components are not this run's embedded ones, none of them can be struck.
    """
    if os.environ.get("HEADWATER_TEST_STACK", "local") == "local":
        with half_shared(stack, name=NAME) as target:
            yield target
    else:
        with running_platform(stack, name=NAME) as platform:
            yield Target(platform=platform, infrastructure=infrastructure_of(platform), alone=False)


@pytest.fixture(scope="package")
def platform(target: Target) -> Platform:
    """The same, for tests that strike nothing."""
    return target.platform
