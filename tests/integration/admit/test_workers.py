"""Lanes, and several workers."""

import asyncio

import pytest

from schemas.events.base import Lane
from tests.support.admission import Installation
from tests.support.heads import blob, put, state

pytestmark = pytest.mark.real


async def test_backfill_waits_for_the_stages_and_live_does_not(own: Installation) -> None:
    await own.admission(HEADWATER_STAGES__BACKFILL_IN_FLIGHT_BYTES="100000")
    await own.settle_in()

    async def fill(first: int) -> None:
        content = blob("x" * 20_000)
        events = [put(state(content=content), f"{n}.md", lane=Lane.BACKFILL) for n in range(first, first + 20)]
        await own.submit(*events)

    for first in range(0, 100, 20):
        await fill(first)
        await own.settled(*await own.submit(put(state(f"Live {first}"))))

    log = await own.changes()
    backfilled = sum(each.lane is Lane.BACKFILL for each in log)
    assert sum(each.lane is Lane.LIVE for each in log) == 5
    assert 0 < backfilled < 100


async def test_two_workers_share_the_partitions(own: Installation) -> None:
    await asyncio.gather(own.admission(0), own.admission(1))
    await own.settle_in()
    events = [put(external_id=f"{number}.md") for number in range(60)]
    await own.settled(*await own.submit(*events))

    assert len(await own.changes()) == len(events)
    for child in own.children:
        assert child.stop() == 0
