"""One probe a test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.probe import Probe, open_probe
from tests.support.stack import RunningStack


@pytest.fixture
def probe(stack: RunningStack, tmp_path: Path) -> Iterator[Probe]:
    with open_probe(stack, tmp_path) as opened:
        yield opened
