"""A bucket of a million keys in which nothing is new: how long the comparison takes, and how much memory."""

import asyncio
import resource
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from typing import Final

from connectors.cursors import noted
from connectors.objects.connector import ObjectsConnector
from connectors.protocol import CursorMoved, Left, SourceChange, Upserted
from connectors.runner import BATCH
from headwater.errors import FatalError
from headwater.ports.objects import ListedObject
from headwater.sources.objects import ObjectsSettings
from headwater.sources.rules import PrefixRules
from schemas.ids import EVERYONE, KnowledgeBaseId
from tests.performance.bench import Components
from tests.performance.figures import Figure

KEYS: Final = 1_000_000  # what the goal is for
_GOAL_MIB: Final = 200.0  # the state of a sync of a million items
_PAGE: Final = 1_000
_MODIFIED: Final = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What a listing took, and how much memory its process had at most, in bytes."""

    first_s: float
    again_s: float
    cursor_bytes: int
    started_bytes: int
    peak_bytes: int


@dataclass(slots=True)
class SyntheticBucket:
    """So many keys of 60 characters, a page at a time, and no content. Implements Objects."""

    keys: int
    pages_listed: int = 0

    async def check(self, prefix: str) -> None:
        """See the port."""

    async def pages(self, prefix: str) -> AsyncIterator[Sequence[ListedObject]]:
        """See the port."""
        for start in range(0, self.keys, _PAGE):
            self.pages_listed += 1
            yield [_object(number) for number in range(start, min(start + _PAGE, self.keys))]

    async def head(self, key: str) -> ListedObject | None:
        """See the port."""
        return None

    async def read(self, listed: ListedObject) -> AsyncIterator[bytes]:
        """See the port."""
        yield b"text"

    async def tags(self, key: str) -> Mapping[str, str]:
        """See the port."""
        return {}


def measure_listing(components: Components) -> list[Figure]:
    """Compare a million synthetic keys with the cursor that the pass before has left, in a process of its own.

    No store is asked and no content read: it is the connector's own time and memory. `--documents` for fewer keys.
    """
    keys = components.documents or KEYS
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
        compared = processes.submit(_compared, keys).result()
    return figures_of(keys, compared)


def figures_of(keys: int, compared: Compared) -> list[Figure]:
    """Return the figures; the goal is for a million keys."""
    mib = 1024 * 1024
    grown = (compared.peak_bytes - compared.started_bytes) / mib
    return [
        Figure(name="keys listed", value=keys, unit="keys"),
        Figure(name="a first pass, every key new, contents of four bytes", value=compared.first_s, unit="s"),
        Figure(name="a pass with nothing new", value=compared.again_s, unit="s"),
        Figure(name="size of the cursor", value=compared.cursor_bytes / mib, unit="MiB"),
        Figure(name="memory beyond a process that has only started, at most", value=grown, unit="MiB", goal=_GOAL_MIB),
    ]


def _compared(keys: int) -> Compared:
    return asyncio.run(both_passes(keys))


async def both_passes(keys: int) -> Compared:
    """Make a pass in which every key is new, and one in which none is. Raises FatalError where that is not so."""
    started = _peak_bytes()
    bucket = SyntheticBucket(keys)
    connector = ObjectsConnector(
        objects=bucket,
        settings=ObjectsSettings(url="s3://synthetic", access=PrefixRules(readers=(EVERYONE,))),
        knowledge_base=KnowledgeBaseId("synthetic"),
    )
    cursor: dict[str, bytes] = {}
    began, found = time.perf_counter(), 0
    batch: list[SourceChange | CursorMoved] = []
    async for change in connector.changes({}):
        if isinstance(change, CursorMoved):
            batch.append(change)
            continue
        if not isinstance(change, SourceChange) or not isinstance(change.what, Upserted):
            raise FatalError(f"the first pass yielded {change}: it says nothing")
        found += 1
        batch.append(change)
        if len(batch) == BATCH:
            await _submitted(batch, cursor)
            batch = []
    await _submitted(batch, cursor)
    first_s = time.perf_counter() - began
    if found != keys:
        raise FatalError(f"the first pass yielded {found} changes of {keys}: it says nothing")
    began = time.perf_counter()
    async for change in connector.changes(cursor):
        if isinstance(change, Left):
            continue
        raise FatalError(f"the second pass yielded {change}: it says nothing")
    return Compared(
        first_s=first_s,
        again_s=time.perf_counter() - began,
        cursor_bytes=sum(len(part) for part in cursor.values()),
        started_bytes=started,
        peak_bytes=_peak_bytes(),
    )


async def _submitted(batch: Sequence[SourceChange | CursorMoved], cursor: dict[str, bytes]) -> None:
    """Read the contents, which are four bytes each, and note them, as the runner does."""
    for change in batch:
        if isinstance(change, SourceChange) and isinstance(change.what, Upserted) and change.what.content is not None:
            async for _ in change.what.content():
                pass
    for part, state in noted(batch).items():
        if state is None:
            cursor.pop(part, None)
        else:
            cursor[part] = state


def etag_of(number: int) -> str:
    """Return what recognises an object's content."""
    return f'"{number:032x}"'


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _object(number: int) -> ListedObject:
    return ListedObject(
        key=f"department-{number // 1000:05d}/projects/reports/{number:012d}-quarterly.md",
        size_bytes=4,
        modified_at=_MODIFIED,
        etag=etag_of(number),
        seen_ns=time.time_ns(),
    )
