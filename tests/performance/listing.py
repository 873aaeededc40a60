"""A bucket, a folder and a site of a million items of which nothing is new: how long it takes, and how much memory."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Final, TypeAlias

from connectors.cursors import noted, without_marks
from connectors.filesystem.connector import FilesystemConnector
from connectors.filesystem.scan import Fingerprint, FoundFile
from connectors.objects.connector import ObjectsConnector
from connectors.parts import Parts
from connectors.protocol import Connector, CursorMoved, GroupMirrored, Left, SourceChange, Upserted
from connectors.runner import BATCH
from headwater.errors import FatalError
from headwater.ports.objects import ListedObject
from headwater.sources.objects import ObjectsSettings
from headwater.sources.rules import PrefixRules
from schemas.events.documents import NOBODY
from schemas.ids import EVERYONE, KnowledgeBaseId
from streams.prepare.confinement import resident_bytes
from tests.performance.bench import Components
from tests.performance.figures import Figure
from tests.performance.synthetic_site import documents_of, synthetic_site

KEYS: Final = 1_000_000  # what the goal is for
BUCKET: Final = "bucket"
FOLDER: Final = "folder"
SITE: Final = "site"
KINDS: Final = (BUCKET, FOLDER, SITE)
Noted: TypeAlias = SourceChange | CursorMoved | GroupMirrored
_KNOWLEDGE_BASE: Final = KnowledgeBaseId("synthetic")
_GOAL_MIB: Final = 200.0  # the state of a sync of a million items
_PAGE: Final = 1_000
_MODIFIED: Final = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What a listing took, and how much memory its process had at most, in bytes."""

    first_s: float
    again_s: float
    cursor_bytes: int
    parts: int
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticFolder:
    """So many files with names of 60 characters, in folders of a thousand. All of them are this one file on the disk.

    It takes the place of the walk over a tree: nothing of that is timed. The names are in its order.
    """

    files: int
    file: Path

    def scan(self, _root: Path, _start: Path) -> Iterator[FoundFile]:
        """Walk the folder."""
        mark = Fingerprint.of(self.file.stat(), access="synthetic")
        for number in range(self.files):
            # As of true files: numbers that differ.
            own = replace(
                mark, inode=number, modified_ns=mark.modified_ns + number, changed_ns=mark.changed_ns + number
            )
            yield FoundFile(external_id=key_of(number), path=self.file, access=NOBODY, fingerprint=own)


def measure_listing(components: Components) -> list[Figure]:
    """Compare a million synthetic items with the cursor that the pass before has left, each in a process of its own.

    A bucket has a part of the cursor for many keys, a folder one for each file, as readers have, and a Confluence site
    one for each page, and what a pass knows of their places and restrictions. No store is asked: it is the connector's
    own time and memory, the cursor included. `--documents` for fewer items.
    """
    items = components.documents or KEYS
    figures = [Figure(name="items listed", value=items, unit="items")]
    for kind in KINDS:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
            figures += figures_of(kind, processes.submit(_compared, kind, items).result())
    return figures


def figures_of(kind: str, compared: Compared) -> list[Figure]:
    """Return the figures; the goal is for a million items."""
    mib = 1024 * 1024
    grown = (compared.peak_bytes - compared.started_bytes) / mib
    contents = "contents not read" if kind == FOLDER else "contents of four bytes"
    return [
        Figure(name=f"{kind}: a first pass, every item new, {contents}", value=compared.first_s, unit="s"),
        Figure(name=f"{kind}: a pass with nothing new", value=compared.again_s, unit="s"),
        Figure(name=f"{kind}: parts of the cursor", value=compared.parts, unit="parts"),
        Figure(name=f"{kind}: size of the cursor", value=compared.cursor_bytes / mib, unit="MiB"),
        Figure(
            name=f"{kind}: memory beyond a process that has only started, at most",
            value=grown,
            unit="MiB",
            goal=_GOAL_MIB,
        ),
    ]


def _compared(kind: str, items: int) -> Compared:
    return asyncio.run(both_passes(kind, items))


async def both_passes(kind: str, items: int) -> Compared:
    """Make a pass in which every item is new, and one in which none is. Raises FatalError where that is not so."""
    if kind == BUCKET:
        return await _both_passes(_bucket(items), items, reads=True)
    if kind == SITE:
        return await _both_passes(synthetic_site(items), documents_of(items), reads=True)
    with tempfile.NamedTemporaryFile() as file:
        # Its contents are not read: nothing of the cursor hangs on them, and each would be a switch of threads.
        return await _both_passes(_folder(items, Path(file.name)), items, reads=False)


def _bucket(keys: int) -> ObjectsConnector:
    return ObjectsConnector(
        objects=SyntheticBucket(keys),
        settings=ObjectsSettings(url="s3://synthetic", access=PrefixRules(readers=(EVERYONE,))),
        knowledge_base=_KNOWLEDGE_BASE,
    )


def _folder(files: int, file: Path) -> FilesystemConnector:
    scan = SyntheticFolder(files=files, file=file).scan
    return FilesystemConnector(root=file.parent, knowledge_base=_KNOWLEDGE_BASE, scan=scan)


async def _both_passes(connector: Connector, keys: int, *, reads: bool) -> Compared:
    started = resident_bytes()
    cursor = Parts()
    began, found = time.perf_counter(), 0
    batch: list[Noted] = []
    async for change in connector.changes({}):
        if isinstance(change, CursorMoved | GroupMirrored):
            batch.append(change)
            continue
        if not isinstance(change, SourceChange) or not isinstance(change.what, Upserted):
            raise FatalError(f"the first pass yielded {change}: it says nothing")
        found += 1
        batch.append(change)
        if len(batch) == BATCH:
            await _submitted(batch, cursor, reads=reads)
            batch = []
    await _submitted(batch, cursor, reads=reads)
    first_s = time.perf_counter() - began
    if found != keys:
        raise FatalError(f"the first pass yielded {found} changes of {keys}: it says nothing")
    began = time.perf_counter()
    async for change in connector.changes(without_marks(cursor)):
        if isinstance(change, Left | CursorMoved):
            continue
        raise FatalError(f"the second pass yielded {change}: it says nothing")
    return Compared(
        first_s=first_s,
        again_s=time.perf_counter() - began,
        cursor_bytes=sum(len(part.encode()) + len(state) for part, state in cursor.below("")),
        parts=len(cursor),
        started_bytes=started,
        peak_bytes=resident_bytes(),
    )


async def _submitted(batch: Sequence[Noted], cursor: Parts, *, reads: bool) -> None:
    """Read the contents, which are four bytes each, and note them, as the runner does."""
    for change in batch if reads else ():
        if isinstance(change, SourceChange) and isinstance(change.what, Upserted) and change.what.content is not None:
            async for _ in change.what.content():
                pass
    for part, state in noted(batch).items():
        if state is None:
            cursor.pop(part, None)
        else:
            cursor[part] = state


def key_of(number: int) -> str:
    """Return the name of an item: 60 characters."""
    return f"department-{number // 1000:05d}/projects/reports/{number:012d}-quarterly.md"


def etag_of(number: int) -> str:
    """Return what recognises an object's content."""
    return f'"{number:032x}"'


def _object(number: int) -> ListedObject:
    return ListedObject(
        key=key_of(number),
        size_bytes=4,
        modified_at=_MODIFIED,
        etag=etag_of(number),
        seen_ns=time.time_ns(),
    )
