"""A set or map that is larger than memory: an LMDB file for one run of a command."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import lmdb

from headwater.heads.environment import Environment

_MAP_SIZE_BYTES: Final = 16 * 1024**3  # address space; the file is as large as what is in it


@contextmanager
def scratch(folder: Path) -> Iterator[Environment]:
    """Open an empty environment in a new folder below `folder`, with two named databases at most; remove it after.

    Nothing is flushed: what is in it is worth nothing once the command has ended.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="scratch-") as made:
        environment = lmdb.open(made, map_size=_MAP_SIZE_BYTES, max_dbs=2, sync=False, lock=False, mode=0o600)
        try:
            yield environment
        finally:
            environment.close()
