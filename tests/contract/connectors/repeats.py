"""What every connector makes of items that come twice."""

import pytest

from tests.contract.connectors.items import NAMES, fill, live
from tests.support.sources import Follower, SourceHarness
from tests.support.troubles import REPEATS, Repeats


class RepeatsContract:
    """Subclasses provide the `source` fixture."""

    async def test_items_that_come_twice_change_nothing(self, source: SourceHarness) -> None:
        if not isinstance(source, Repeats):
            pytest.skip(source.lacks[REPEATS])
        source.repeat_items()
        fill(source)
        follower = Follower(source, batch=2)
        first = await follower.follow()
        assert sorted(source.name_of(each.external_id) for each in first) == NAMES
        assert source.downloads == len(NAMES)
        assert await follower.follow() == []
        for step in live(source):
            await follower.follow()
            assert follower.view() == source.truth(), step
            assert not follower.failed
            assert await follower.follow() == [], step
