"""Attempts counted before the work begins, so that an event that kills its worker is found out."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, Self
from uuid import uuid4

from headwater.errors import FatalError
from schemas.events.base import Position

# Times that an event may have been alone when its worker died before it is parked instead of tried again.
DEATHS_ALLOWED: Final = 3
_PROBE: Final = "probe"
_TOPIC_CHARACTERS: Final = 180  # of a file's name, which 255 bytes may be long; a stage's topics differ at their ends


class Marks(Protocol):
    """Small values by name that outlive the worker that wrote them."""

    def get(self, name: str) -> bytes | None:
        """Return the newest value, or None."""
        ...

    def put(self, name: str, value: bytes) -> None:
        """Write, whole or not at all. Raises FatalError where nothing can be written."""
        ...

    def delete(self, name: str) -> None:
        """Remove, where it is there."""
        ...


class FileMarks:
    """Implements Marks: one small file each. Workers share no lock that one of them, frozen, could keep from the rest.

    Writes go to the operating system without a sync: a kill keeps them, and only a power cut, which no event causes,
    loses them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._aside = folder, folder / f"aside-{os.getpid()}-{uuid4().hex[:8]}"

    def get(self, name: str) -> bytes | None:
        """See Marks. Raises FatalError where the folder cannot be read."""
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unusable(self._folder, error) from error

    def put(self, name: str, value: bytes) -> None:
        """See Marks."""
        try:
            self._aside.write_bytes(value)
            self._aside.replace(self._folder / name)
        except OSError as error:
            raise _unusable(self._folder, error) from error

    def delete(self, name: str) -> None:
        """See Marks."""
        try:
            (self._folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise _unusable(self._folder, error) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    alone: bool
    deaths: int  # of earlier workers


class AttemptJournal:
    """Marks of the events in work, which all workers of one stage on one host share.

    A mark is written when an attempt begins and removed when it ends in any way but the worker's death.

    An event delivered again while its mark still stands was in work when a worker died: it is a suspect, and
    suspects are run one at a time. Only a mark that says "alone" counts as a death.
    """

    def __init__(self, marks: Marks) -> None:
        self._marks = marks
        self._run = f"{os.getpid()}-{uuid4().hex[:8]}"
        self._open: dict[Position, _Attempt] = {}  # of this process: what their marks say

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open or create the journal. Raises FatalError where the folder cannot be used."""
        marks = FileMarks(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(folder, error) from error
        marks.put(_PROBE, b"")
        marks.delete(_PROBE)
        return cls(marks)

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
    def attempt(self, origin: Position, *, deaths: int) -> Iterator[None]:
        """Mark the event as in work for the duration of the block."""
        self.begin(origin, deaths=deaths)
        try:
            yield
        finally:
            self.end(origin)

    def begin(self, origin: Position, *, deaths: int) -> None:
        """Mark the event as in work: alone, until another one begins. `deaths` are those of earlier workers.

        They are counted once, before the first attempt: while this worker has the event, its mark is this worker's.
        """
        alone = not self._open
        for other, attempt in list(self._open.items()):
            if attempt.alone:
                self._write(other, alone=False, deaths=attempt.deaths)
        self._write(origin, alone=alone, deaths=deaths)

    def end(self, origin: Position) -> None:
        """Remove the mark, but keep the count of an event that has killed before and may be tried again."""
        deaths = self._open.pop(origin).deaths
        if deaths:
            self._put(origin, {"run": self._run, "alone": False, "deaths": deaths})
        else:
            self.forget(origin)

    def forget(self, origin: Position) -> None:
        """Drop all that is known of an event that is settled."""
        self._marks.delete(_name(origin))

    def _write(self, origin: Position, *, alone: bool, deaths: int) -> None:
        self._open[origin] = _Attempt(alone=alone, deaths=deaths)
        self._put(origin, {"run": self._run, "alone": alone, "deaths": deaths})

    def _put(self, origin: Position, mark: dict[str, Any]) -> None:
        self._marks.put(_name(origin), json.dumps(mark).encode())

    def _read(self, origin: Position) -> dict[str, Any] | None:
        raw = self._marks.get(_name(origin))
        return None if raw is None else dict(json.loads(raw))


def _name(origin: Position) -> str:
    return f"{origin.partition}-{origin.offset}-{origin.topic[-_TOPIC_CHARACTERS:]}"


def _unusable(folder: Path, error: OSError) -> FatalError:
    return FatalError(
        f"HEADWATER_STAGES__DATADIR {folder}: cannot be used ({error.strerror}); it must be a writable local folder "
        "with room left"
    )
