"""What several ports' suites share."""

from collections.abc import Iterator

import pytest

from tests.support.moto_server import MotoServer, moto_server


@pytest.fixture(scope="session")
def moto() -> Iterator[MotoServer]:
    """Moto's server: one for all tests of a process, each with a bucket of its own."""
    with moto_server() as server:
        yield server
