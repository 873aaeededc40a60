"""What every connector makes of a source's clock."""

from datetime import timedelta

import pytest

from tests.contract.connectors.items import NAMES, fill, live
from tests.support.sources import Follower, SourceHarness
from tests.support.troubles import CLOCK, DATES_BACK, DatesBack, KeepsTime


def set_off(source: SourceHarness, minutes: int) -> None:
    """Let the source's clock be off, or skip the test where the source has none."""
    if not isinstance(source, KeepsTime):
        pytest.skip(source.lacks[CLOCK])
    source.set_clock(timedelta(minutes=minutes))


class LateEditsContract:
    """What holds of edits alone. Subclasses provide the `source` fixture."""

    @pytest.mark.parametrize("minutes", [-10, 0, 10])
    async def test_an_edit_that_is_dated_back_is_not_missed(self, source: SourceHarness, minutes: int) -> None:
        """As of a clock of the source that is off, so of one whose times come late."""
        if minutes:
            set_off(source, minutes)
        if not isinstance(source, DatesBack):
            pytest.skip(source.lacks[DATES_BACK])
        fill(source)
        follower = Follower(source)
        await follower.follow()
        for time, name in enumerate((NAMES[0], NAMES[-1], NAMES[0])):
            source.put("b/y.md", f"edited {time}")
            await follower.follow()
            source.put_late(name, f"edited after {time}, and dated back")
            await follower.follow()
            assert follower.view() == source.truth()
            assert await follower.follow() == []
        assert not follower.stale


class ClocksContract(LateEditsContract):
    """The whole. Subclasses provide the `source` fixture."""

    @pytest.mark.parametrize("minutes", [-10, 10])
    async def test_a_clock_that_is_off_changes_nothing(self, source: SourceHarness, minutes: int) -> None:
        set_off(source, minutes)
        fill(source)
        follower = Follower(source)
        await follower.follow()
        assert follower.view() == source.truth()
        for step in live(source):
            await follower.follow()
            assert follower.view() == source.truth(), step
            assert not follower.stale
            assert await follower.follow() == [], step
