"""A second journal on the same folder stands for the worker that takes over after a death."""

from pathlib import Path

import pytest

from headwater.errors import FatalError
from schemas.events.base import Position
from streams.harness.attempts import AttemptJournal
from tests.support.events import position

FIRST, SECOND = position(offset=1), position(offset=2)


def die_in(folder: Path, *origins: Position) -> None:
    """Begin attempts and never end them, as a killed worker does."""
    journal = AttemptJournal.open(folder)
    for origin in origins:
        journal.begin(origin, deaths=journal.deaths(origin))


def test_an_event_that_ended_well_leaves_nothing(tmp_path: Path) -> None:
    with AttemptJournal.open(tmp_path).attempt(FIRST, deaths=0):
        pass
    successor = AttemptJournal.open(tmp_path)
    assert not successor.is_suspect(FIRST)
    assert successor.deaths(FIRST) == 0


def test_deaths_in_company_make_suspects_but_do_not_count(tmp_path: Path) -> None:
    die_in(tmp_path, FIRST, SECOND)
    successor = AttemptJournal.open(tmp_path)
    assert successor.is_suspect(FIRST)
    assert successor.is_suspect(SECOND)
    assert (successor.deaths(FIRST), successor.deaths(SECOND)) == (0, 0)


def test_deaths_alone_count_over_workers(tmp_path: Path) -> None:
    for expected in (0, 1, 2):
        assert AttemptJournal.open(tmp_path).deaths(FIRST) == expected
        die_in(tmp_path, FIRST)
    assert AttemptJournal.open(tmp_path).deaths(FIRST) == 3


def test_company_takes_nothing_from_the_count(tmp_path: Path) -> None:
    """The mark of one that is in work alone is written again when another one begins."""
    die_in(tmp_path, FIRST)
    die_in(tmp_path, FIRST, SECOND)
    assert AttemptJournal.open(tmp_path).deaths(FIRST) == 1


def test_an_attempt_reads_no_mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every event there are several: one look when it is delivered, one before its first attempt."""
    journal = AttemptJournal.open(tmp_path)
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path.name} is read"))
    with journal.attempt(FIRST, deaths=0), journal.attempt(SECOND, deaths=1):
        pass


def test_an_attempt_that_fails_keeps_the_count_for_the_next(tmp_path: Path) -> None:
    die_in(tmp_path, FIRST)
    journal = AttemptJournal.open(tmp_path)
    with pytest.raises(ValueError, match="busy"), journal.attempt(FIRST, deaths=1):
        raise ValueError("busy")
    assert journal.deaths(FIRST) == 1
    journal.forget(FIRST)
    assert journal.deaths(FIRST) == 0


def test_a_folder_that_cannot_be_used_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FatalError, match="HEADWATER_STAGES__DATADIR"):
        AttemptJournal.open(tmp_path / "file")


def test_a_worker_that_is_frozen_while_it_writes_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It wrote its mark aside and was stopped before it stood where the others look; then it wakes."""
    frozen = AttemptJournal.open(tmp_path)
    written: list[tuple[Path, Path]] = []
    monkeypatch.setattr(Path, "replace", lambda aside, mark: written.append((aside, mark)))
    frozen.begin(FIRST, deaths=0)
    monkeypatch.undo()
    successor = AttemptJournal.open(tmp_path)
    with successor.attempt(FIRST, deaths=0):
        assert successor.deaths(FIRST) == 0
    ((aside, mark),) = written
    aside.replace(mark)
    assert AttemptJournal.open(tmp_path).is_suspect(FIRST)
    assert AttemptJournal.open(tmp_path).deaths(FIRST) == 1
