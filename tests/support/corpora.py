"""Where the corpora lie, and the skip that says so when they do not."""

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("HEADWATER_DATA", "../shared/data"))


def corpus(name: str) -> Path:
    """Return a corpus's folder; skip the test, with the reason, where it is absent."""
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip(f"no corpus {folder}: set HEADWATER_DATA to the folder that holds it")
    return folder
