"""What the long-running commands tell while they work."""

from datetime import UTC, datetime, timedelta

import pytest

from headwater.cli.generations import drop, time_left_s
from headwater.cli.rebuild import Teller
from headwater.errors import FatalError
from headwater.generations.positions import Way
from headwater.generations.records import Known, first_generation, new_generation
from schemas.ids import GenerationName, Revision

CREATED = datetime(2026, 3, 1, tzinfo=UTC)
BUILDING = Known(
    record=new_generation(GenerationName("g2"), policy="structure-1", created_at=CREATED), revision=Revision(1)
)


def test_the_rest_takes_as_long_as_the_speed_so_far_says(capsys: pytest.CaptureFixture[str]) -> None:
    times = iter((10.0, 11.0, 20.0, 40.0))
    tell = Teller(began_s=0.0, clock=lambda: next(times))
    for done in (100, 150, 200, 400):
        tell("keywords of g1", Way(done=done, total=400))
    assert capsys.readouterr().err.splitlines() == [
        "  10.0 s  keywords of g1: 25 % of 400 events",
        "  20.0 s  keywords of g1: 50 % of 400 events, about 20 s left",
        "  40.0 s  keywords of g1: 100 % of 400 events",
    ]


@pytest.mark.parametrize(("done", "left_s"), [(0, None), (25, 180.0), (100, None)])
def test_a_generation_that_is_built_says_how_long_it_will_take(done: int, left_s: float | None) -> None:
    assert time_left_s(BUILDING, done=done, of=100, now=CREATED + timedelta(minutes=1)) == left_s


def test_one_that_serves_has_nothing_left() -> None:
    serving = Known(record=first_generation(GenerationName("g1")), revision=Revision(1))
    assert time_left_s(serving, done=1, of=100, now=CREATED) is None


def test_a_drop_destroys_and_must_be_wanted() -> None:
    with pytest.raises(FatalError, match=r"drop destroys .* g2.*--force"):
        drop("g2")
