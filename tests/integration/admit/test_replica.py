"""The follower process and what API processes see of the log through it."""

import asyncio
import shutil
import time
from datetime import UTC, datetime, timedelta

import pytest

from headwater.heads.clocks import steady_ms, wall_ms
from headwater.heads.replica import replica_folder
from headwater.heads.view import LmdbHeads
from headwater.heads.waiting import NotAppliedError
from tests.support.admission import Installation, until
from tests.support.heads import ACME, put, state

pytestmark = pytest.mark.real


def revision_of(heads: LmdbHeads, external_id: str = "leave.md") -> int:
    head = heads.head(ACME, put(external_id=external_id).document_id)
    return 0 if head is None else head.revision


def with_stopped_clocks(own: Installation) -> LmdbHeads:
    """Return a view whose clocks stand still a minute ahead: only what a follower writes moves its `as_of`."""
    now, steady = wall_ms() + 60_000, steady_ms() + 60_000
    return LmdbHeads(own.settings, now_ms=lambda: now, steady_ms=lambda: steady)


async def test_a_follower_goes_on_where_it_stopped(own: Installation) -> None:
    first, _ = await asyncio.gather(own.follower(), own.admission())
    heads = own.heads()
    await own.settle_in()
    await own.applied(heads, *await own.submit(put()))
    assert first.stop() == 0
    stopped_at = heads.applied()
    positions = await own.submit(put(state("Newer")))
    await own.settled(*positions)
    second = await own.follower()
    await own.applied(heads, *positions)
    assert all(
        heads.applied()[topic][partition] >= offset
        for topic, by_partition in stopped_at.items()
        for partition, offset in by_partition.items()
    )
    assert "heads_rebuild" not in second.log
    assert revision_of(heads) == (await own.changes())[-1].revision
    heads.close()


async def test_a_deleted_folder_is_rebuilt_and_seen_by_readers_that_stay(own: Installation) -> None:
    first, _ = await asyncio.gather(own.follower(), own.admission())
    heads = own.heads()
    await own.settle_in()
    positions = await own.submit(put(), put(external_id="travel.md"))
    await own.applied(heads, *positions)
    shutil.rmtree(replica_folder(own.settings.heads))
    assert await asyncio.to_thread(first.process.wait, 30) == 1
    assert "deleted" in first.log
    assert revision_of(heads) == 0
    await own.follower()
    await own.applied(heads, *positions)
    assert revision_of(heads)
    assert revision_of(heads, "travel.md")
    heads.close()


async def test_a_dead_follower_is_seen_in_as_of(own: Installation) -> None:
    follower = await own.follower()
    heads = with_stopped_clocks(own)
    started = heads.as_of()
    await until(lambda: heads.as_of() > started)
    assert datetime.now(UTC) - heads.as_of() < timedelta(seconds=5)
    follower.kill()
    stood_still = heads.as_of()
    end = time.monotonic() + 2
    while time.monotonic() < end:
        assert heads.as_of() == stood_still
        await asyncio.sleep(0.1)
    heads.close()


async def test_a_follower_without_a_broker_is_not_ready_and_not_current(own: Installation) -> None:
    follower = await own.follower()
    assert follower.stop() == 0
    heads = with_stopped_clocks(own)
    before = heads.as_of()
    lonely = own.start(
        ("-m", "headwater.heads"),
        HEADWATER_KAFKA__BOOTSTRAP_SERVERS="127.0.0.1:9",
        HEADWATER_KAFKA__REQUEST_TIMEOUT_S="1",
    )
    await until(lambda: "heads_waiting" in lonely.log)
    assert not lonely.is_ready()
    assert heads.as_of() == before
    heads.close()


async def test_a_token_without_admission_ends_with_a_clear_error(own: Installation) -> None:
    await own.follower()
    heads = own.heads()
    [position] = await own.submit(put())
    with pytest.raises(NotAppliedError, match="admission"):
        await own.applied(heads, position, timeout_s=0.5)
    heads.close()


async def test_a_log_that_was_created_anew_is_read_from_its_beginning(own: Installation) -> None:
    follower, admission = await asyncio.gather(own.follower(), own.admission())
    heads = own.heads()
    await own.settle_in()
    await own.applied(heads, *await own.submit(put()))
    assert admission.stop() == 0
    assert follower.stop() == 0
    changed = f"{own.settings.kafka.topic_prefix}rag.documents.changed"
    await own.admin.delete([changed])
    await until_gone(own, changed)
    await own.admin.create(changed, partitions=own.settings.kafka.partitions, replication_factor=1, config={})

    again = await own.follower()

    assert "heads_rebuild" in again.log
    assert revision_of(heads) == 0
    await own.admission()
    await own.applied(heads, *await own.submit(put(source_version=1)))
    assert revision_of(heads)
    heads.close()


async def until_gone(own: Installation, topic: str) -> None:
    end = time.monotonic() + 20
    while topic in await own.admin.topic_names():
        assert time.monotonic() < end
        await asyncio.sleep(0.05)
