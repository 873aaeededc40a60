"""The filesystem connector: one full pass, then what inotify tells of, compared with the cursor."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from watchfiles import awatch
from watchfiles.main import FileChange

from connectors.filesystem.rules import RULE_FILE
from connectors.filesystem.scan import Fingerprint, FoundFile, Unread, scan
from connectors.parts import Parts, below
from connectors.protocol import (
    Cursor,
    Deleted,
    ItemFailed,
    Left,
    Listing,
    Observed,
    Patched,
    SourceChange,
    Unnoted,
    Upserted,
)
from headwater.errors import FatalError, PoisonError, RetryableError, SourceGoneError, UnauthorisedError
from schemas.events.documents import DocumentPatch, DocumentState
from schemas.ids import KnowledgeBaseId

PIECE_BYTES: Final = 1024 * 1024
DEBOUNCE_MS: Final = 20  # editors write a file in several steps; the next change is seen anyway
STEP_MS: Final = 10
RESCAN_S: Final = 60.0  # inotify's queue may overflow: a whole pass compares the stats of everything now and then
ITEMS_BETWEEN_YIELDS: Final = 200
_AS_IT_IS: Final = "./"  # no external id begins so


class FileUnreadableError(PoisonError):
    """A file could not be read, or changed while it was read. It is tried again on the next pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesystemConnector:
    """Reads a folder tree. Implements LiveConnector and ItemConnector; `changes` compare all that is there."""

    root: Path
    knowledge_base: KnowledgeBaseId
    scan: Callable[[Path, Path], Iterable[FoundFile | Unread]] = scan

    async def check(self) -> None:
        """See the protocol."""
        await asyncio.to_thread(_look, self.root)

    async def changes(self, since: Cursor) -> AsyncIterator[Observed]:
        """Compare the whole tree with the cursor; only stats are read of what has not changed."""
        async for change in self._compare(_known(since), [self.root]):
            yield change

    async def items(self, external_ids: Collection[str], since: Cursor) -> AsyncIterator[Observed]:
        """See ItemConnector. A name that leads out of the folder is no item of it."""
        paths = await asyncio.to_thread(lambda: [self.root / name for name in external_ids if self._holds(name)])
        async for change in self._compare(_known(since), paths):
            yield change

    def unknown(self, unnoted: Unnoted, _since: Cursor) -> Mapping[str, bytes | None]:
        """See the protocol."""
        return {_part(each): b"" for each in unnoted.external_ids}

    def _holds(self, name: str) -> bool:
        """Whether a name is its own true path below the folder: no way out by `..` or by a link."""
        return (self.root / name).resolve() == self.root.resolve() / name and name not in {"", "."}

    async def live(self, since: Cursor) -> AsyncIterator[Observed]:
        """Watch first, then compare once more: what changed in between is not missed."""
        known = _known(since)
        watching = awatch(
            self.root,
            watch_filter=None,
            debounce=DEBOUNCE_MS,
            step=STEP_MS,
            rust_timeout=int(RESCAN_S * 1000),
            yield_on_timeout=True,
            recursive=True,
        )
        touched: asyncio.Task[Iterable[Path]] = asyncio.create_task(self._next_touched(watching))
        try:
            paths: Iterable[Path] = [self.root]
            while True:
                async for change in self._compare(known, paths):
                    yield change
                paths = await touched
                touched = asyncio.create_task(self._next_touched(watching))
        finally:
            touched.cancel()

    async def _next_touched(self, watching: AsyncIterator[set[FileChange]]) -> Iterable[Path]:
        """Return the paths to look at; the root after a time without news."""
        events = await anext(watching)
        paths = {Path(name) for _, name in events}
        return {path.parent if path.name == RULE_FILE else path for path in paths} or [self.root]

    async def _compare(self, known: Parts, paths: Iterable[Path]) -> AsyncIterator[Observed]:
        """Yield what differs from the cursor below these paths, and note it in `known`."""
        for start in _outermost(paths):
            prefix = "" if start == self.root else start.relative_to(self.root).as_posix()
            seen = Parts()
            unmet = held = 0 if prefix else len(known)
            for number, found in enumerate(self.scan(self.root, start)):
                if number % ITEMS_BETWEEN_YIELDS == 0:
                    await asyncio.sleep(0)  # a large tree must not stop the submissions
                    if number and unmet:
                        yield Left(items=unmet, of=held)
                if isinstance(found, Unread):
                    yield ItemFailed(external_id=found.external_id, error=found.error)
                    continue
                seen[found.external_id] = b""
                before = known.get(found.external_id)
                unmet -= before is not None and unmet > 0
                change = self._difference(found, before)
                if change is not None:
                    known[found.external_id] = found.fingerprint.to_bytes()
                    yield replace(change, left=Left(items=unmet, of=held) if unmet else None)
            if not prefix and known and not seen:
                raise FatalError(
                    f"path {self.root}: holds no file where there were some; nothing is deleted. Is it mounted? "
                    "If they are really gone, remove the source"
                )
            listing = None if prefix else Listing(name="", known=held, shown=len(seen))
            for gone in (each for each in _at_or_below(known, prefix) if each not in seen):
                del known[gone]
                yield _deletion(gone, listing)

    def _difference(self, found: FoundFile, before: bytes | None) -> SourceChange | None:
        old = Fingerprint.from_bytes(before) if before else None
        if old == found.fingerprint:
            return None
        only_access = old is not None and old.same_content(found.fingerprint)
        what: Upserted | Patched = (
            Patched(patch=DocumentPatch(access=found.access))
            if only_access
            else Upserted(state=self._state(found), content=_opener(found))
        )
        return SourceChange(
            external_id=found.external_id,
            what=what,
            # When we looked, not the file's own time: that may go back, and a frozen connector's look is older.
            source_version=time.time_ns(),
            occurred_at=datetime.fromtimestamp(
                (found.fingerprint.changed_ns if only_access else found.fingerprint.modified_ns) / 1e9, tz=UTC
            ),
            cursor={_part(found.external_id): found.fingerprint.to_bytes()},
        )

    def _state(self, found: FoundFile) -> DocumentState:
        return DocumentState(
            knowledge_base=self.knowledge_base,
            title=found.path.stem.replace("-", " ").replace("_", " "),
            url=found.path.as_uri(),
            access=found.access,
            attributes={"path": found.external_id, "extension": found.path.suffix.lower()},
        )


def _look(root: Path) -> None:
    """Name a folder's first entry and look at it: `r` and `x`. Raises as `check`, RetryableError where nobody can."""
    try:
        with os.scandir(root) as entries:
            for entry in entries:
                entry.stat(follow_symlinks=False)
                break
    except (FileNotFoundError, NotADirectoryError) as error:
        if root.is_dir():  # what was named is gone by now
            return
        raise SourceGoneError(f"path {root}: not a folder; name an existing one") from error
    except PermissionError as error:
        raise UnauthorisedError(
            f"path {root}: its files cannot be listed ({error.strerror}); let the worker's user list it, and the "
            "folders below: r and x"
        ) from error
    except OSError as error:
        raise RetryableError(f"path {root}: cannot be read ({error.strerror}); is it mounted?") from error


def _opener(found: FoundFile) -> Callable[[], AsyncIterator[bytes]]:
    async def read() -> AsyncIterator[bytes]:
        try:
            with await asyncio.to_thread(found.path.open, "rb") as opened:
                while piece := await asyncio.to_thread(opened.read, PIECE_BYTES):
                    yield piece
                changed = not found.fingerprint.is_of(os.fstat(opened.fileno()))
        except OSError as error:
            raise FileUnreadableError(f"{found.external_id}: {error.strerror}; it is tried again") from error
        if changed:  # half of one state and half of the next is a document that never was
            raise FileUnreadableError(f"{found.external_id}: changed while it was read; it is tried again")

    return read


def _deletion(external_id: str, listing: Listing | None) -> SourceChange:
    return SourceChange(
        external_id=external_id,
        what=Deleted(listing=listing),
        source_version=time.time_ns(),
        occurred_at=datetime.now(UTC),
        cursor={_part(external_id): None},
    )


def _outermost(paths: Iterable[Path]) -> Iterator[Path]:
    """Leave out what lies below another of the paths."""
    last: Path | None = None
    for path in sorted(set(paths)):
        if last is None or not path.is_relative_to(last):
            last = path
            yield path


def _part(external_id: str) -> str:
    """Return the part of the cursor that a file has. Those that begin with `!` are the runner's own."""
    return f"{_AS_IT_IS}{external_id}" if external_id.startswith("!") else external_id


def _known(since: Cursor) -> Parts:
    return Parts((part.removeprefix(_AS_IT_IS), state) for part, state in below(since, ""))


def _at_or_below(known: Parts, external_id: str) -> Iterator[str]:
    """Yield what is known of a file and of what is below a folder of this name; of the root, which has none, all."""
    if not external_id:
        yield from known
        return
    if external_id in known:
        yield external_id
    yield from (f"{external_id}/{name}" for name, _ in known.below(f"{external_id}/"))
