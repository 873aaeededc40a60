"""Attempts counted before the work begins, so that an event that kills its worker is found out."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Self
from uuid import uuid4

import lmdb

from headwater.errors import FatalError
from schemas.events.base import Position

# Times that an event may have been alone when its worker died before it is parked instead of tried again.
DEATHS_ALLOWED: Final = 3
_MAP_BYTES: Final = 64 * 1024**2  # address space; one mark takes about 150 bytes


class AttemptJournal:
    """Marks of the events in work, in an embedded store that all workers of one stage on one host share.

    A mark is written when an attempt begins and removed when it ends in any way but the worker's death. Writes go
    to the operating system without a sync: a kill keeps them, and only a power cut, which no event causes, loses them.

    An event delivered again while its mark still stands was in work when a worker died: it is a suspect, and
    suspects are run one at a time. Only a mark that says "alone" counts as a death.
    """

    def __init__(self, environment: Any) -> None:
        self._environment = environment
        self._run = f"{os.getpid()}-{uuid4().hex[:8]}"
        self._open: dict[Position, bool] = {}  # attempts of this process that are in work: alone or in company

    @classmethod
    @contextmanager
    def open(cls, folder: Path) -> Iterator[Self]:
        """Open or create the journal. Raises FatalError where the folder cannot be used."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            environment = lmdb.open(str(folder), map_size=_MAP_BYTES, sync=False, metasync=False, subdir=True)
        except (OSError, lmdb.Error) as error:
            raise FatalError(
                f"HEADWATER_STAGES__DATADIR {folder}: cannot be opened ({error}); it must be a writable local folder"
            ) from error
        try:
            yield cls(environment)
        finally:
            environment.close()

    def is_suspect(self, origin: Position) -> bool:
        """Say whether this event was in work when a worker died."""
        mark = self._read(origin)
        return mark is not None and mark["run"] != self._run

    def deaths(self, origin: Position) -> int:
        """Count the times this event was alone in work when its worker died."""
        mark = self._read(origin)
        if mark is None:
            return 0
        died_alone = mark["run"] != self._run and mark["alone"]
        return int(mark["deaths"]) + int(died_alone)

    @contextmanager
    def attempt(self, origin: Position) -> Iterator[None]:
        """Mark the event as in work for the duration of the block."""
        self.begin(origin)
        try:
            yield
        finally:
            self.end(origin)

    def begin(self, origin: Position) -> None:
        """Mark the event as in work: alone, until another one begins."""
        alone = not self._open
        for other in [each for each, was_alone in self._open.items() if was_alone]:
            self._write(other, alone=False, deaths=self.deaths(other))
        self._write(origin, alone=alone, deaths=self.deaths(origin))

    def end(self, origin: Position) -> None:
        """Remove the mark, but keep the count of an event that has killed before and may be tried again."""
        del self._open[origin]
        deaths = self.deaths(origin)
        if deaths:
            self._put(origin, {"run": self._run, "alone": False, "deaths": deaths})
        else:
            self.forget(origin)

    def forget(self, origin: Position) -> None:
        """Drop all that is known of an event that is settled."""
        with suppress(lmdb.Error), self._environment.begin(write=True) as transaction:
            transaction.delete(_key(origin))

    def _write(self, origin: Position, *, alone: bool, deaths: int) -> None:
        self._open[origin] = alone
        self._put(origin, {"run": self._run, "alone": alone, "deaths": deaths})

    def _put(self, origin: Position, mark: dict[str, Any]) -> None:
        try:
            with self._environment.begin(write=True) as transaction:
                transaction.put(_key(origin), json.dumps(mark).encode())
        except lmdb.Error as error:
            raise FatalError(f"HEADWATER_STAGES__DATADIR: cannot be written ({error}); is the disk full?") from error

    def _read(self, origin: Position) -> dict[str, Any] | None:
        with self._environment.begin() as transaction:
            raw = transaction.get(_key(origin))
        return None if raw is None else dict(json.loads(raw))


def _key(origin: Position) -> bytes:
    return f"{origin.topic}/{origin.partition}/{origin.offset}".encode()
