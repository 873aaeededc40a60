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
        journal.begin(origin)


def test_an_event_that_ended_well_leaves_nothing(tmp_path: Path) -> None:
    with AttemptJournal.open(tmp_path).attempt(FIRST):
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


def test_an_attempt_that_fails_keeps_the_count_for_the_next(tmp_path: Path) -> None:
    die_in(tmp_path, FIRST)
    journal = AttemptJournal.open(tmp_path)
    with pytest.raises(ValueError, match="busy"), journal.attempt(FIRST):
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
    frozen.begin(FIRST)
    monkeypatch.undo()
    successor = AttemptJournal.open(tmp_path)
    with successor.attempt(FIRST):
        assert successor.deaths(FIRST) == 0
    ((aside, mark),) = written
    aside.replace(mark)
    assert AttemptJournal.open(tmp_path).is_suspect(FIRST)
    assert AttemptJournal.open(tmp_path).deaths(FIRST) == 1
