"""A second journal on the same folder stands for the worker that takes over after a death."""

from collections.abc import Iterator
from pathlib import Path

import lmdb
import pytest

from headwater.errors import FatalError
from schemas.events.base import Position
from streams.harness.attempts import AttemptJournal
from tests.support.events import position

FIRST, SECOND = position(offset=1), position(offset=2)


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[lmdb.Environment]:
    with lmdb.open(str(tmp_path), map_size=2**20) as opened:
        yield opened


def die_in(environment: lmdb.Environment, *origins: Position) -> None:
    """Begin attempts and never end them, as a killed worker does."""
    journal = AttemptJournal(environment)
    for origin in origins:
        journal.begin(origin)


def test_an_event_that_ended_well_leaves_nothing(environment: lmdb.Environment) -> None:
    with AttemptJournal(environment).attempt(FIRST):
        pass
    successor = AttemptJournal(environment)
    assert not successor.is_suspect(FIRST)
    assert successor.deaths(FIRST) == 0


def test_deaths_in_company_make_suspects_but_do_not_count(environment: lmdb.Environment) -> None:
    die_in(environment, FIRST, SECOND)
    successor = AttemptJournal(environment)
    assert successor.is_suspect(FIRST)
    assert successor.is_suspect(SECOND)
    assert (successor.deaths(FIRST), successor.deaths(SECOND)) == (0, 0)


def test_deaths_alone_count_over_workers(environment: lmdb.Environment) -> None:
    for expected in (0, 1, 2):
        assert AttemptJournal(environment).deaths(FIRST) == expected
        die_in(environment, FIRST)
    assert AttemptJournal(environment).deaths(FIRST) == 3


def test_an_attempt_that_fails_keeps_the_count_for_the_next(environment: lmdb.Environment) -> None:
    die_in(environment, FIRST)
    journal = AttemptJournal(environment)
    with pytest.raises(ValueError, match="busy"), journal.attempt(FIRST):
        raise ValueError("busy")
    assert journal.deaths(FIRST) == 1
    journal.forget(FIRST)
    assert journal.deaths(FIRST) == 0


def test_a_folder_that_cannot_be_used_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FatalError, match="HEADWATER_STAGES__DATADIR"), AttemptJournal.open(tmp_path / "file"):
        pass
