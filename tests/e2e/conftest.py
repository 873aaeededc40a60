"""Fixtures of the end-to-end tests."""

import pytest

from tests.support.library import Library, open_library
from tests.support.platform import Platform


@pytest.fixture
def library(platform: Platform) -> Library:
    """A knowledge base and a source of the test's own on the shared platform."""
    return open_library(platform)
