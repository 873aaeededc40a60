"""What counts as backfill on its way."""

from collections.abc import Collection

import pytest

from headwater.clients.kafka.records import Offsets
from headwater.settings import Settings
from schemas.ids import GenerationName
from streams.admit.credits import BackfillCredits, bytes_in_flight
from streams.admit.intake import SMALLEST_DOCUMENT_BYTES

BATCH_BYTES = 16 * 1024
NEVER_READ = 200
G2 = GenerationName("g2")
CHANGED, PROGRESSED = "rag.documents.changed", "rag.documents.progressed"
PREPARED, EMBEDDED = "rag.chunks.prepared.g2", "rag.chunks.embedded.g2"


class FakeAdmin:
    """A broker where every topic has two partitions, from 100 to 200; groups have read all but what is said."""

    def __init__(self, unread: dict[tuple[str, str], int]) -> None:
        self.unread = unread

    async def committed_offsets(self, group: str, topics: Collection[str]) -> Offsets:
        unread = {topic: self.unread.get((group, topic), 0) for topic in topics}
        return {topic: {} if unread[topic] == NEVER_READ else {0: 200, 1: 200 - unread[topic]} for topic in topics}

    async def start_offsets(self, topics: Collection[str]) -> Offsets:
        return {topic: {0: 100, 1: 100} for topic in topics}

    async def end_offsets(self, topics: Collection[str]) -> Offsets:
        return {topic: {0: 200, 1: 200} for topic in topics}


async def in_flight(unread: dict[tuple[str, str], int]) -> int:
    return await bytes_in_flight(FakeAdmin(unread), Settings(), generation=G2, mean_bytes=50_000)


async def test_nothing_is_on_its_way_when_every_stage_has_read_all() -> None:
    assert await in_flight({}) == 0


async def test_what_prepare_has_not_read_counts_as_documents() -> None:
    assert await in_flight({("headwater-prepare-g2", CHANGED): 3}) == 150_000


@pytest.mark.parametrize(
    ("group", "topic"),
    [
        ("headwater-embed-g2", PREPARED),
        ("headwater-index-vectors-g2", EMBEDDED),
        ("headwater-index-keywords-g2", PREPARED),
        ("headwater-status", CHANGED),
        ("headwater-status", PROGRESSED),
    ],
)
async def test_what_any_later_stage_has_not_read_counts_as_batches(group: str, topic: str) -> None:
    assert await in_flight({(group, topic): 7}) == 7 * BATCH_BYTES


async def test_of_the_later_stages_the_slowest_counts_beside_prepare() -> None:
    unread = {
        ("headwater-prepare-g2", CHANGED): 1,
        ("headwater-embed-g2", PREPARED): 5,
        ("headwater-status", PROGRESSED): 9,
    }
    assert await in_flight(unread) == 50_000 + 9 * BATCH_BYTES


async def test_a_group_that_never_committed_has_all_that_is_kept_before_it() -> None:
    assert await in_flight({("headwater-embed-g2", PREPARED): NEVER_READ}) == 200 * BATCH_BYTES


def test_a_page_of_one_line_takes_as_much_room_as_a_batch() -> None:
    allowance = BackfillCredits(Settings())
    room = allowance.room_bytes
    allowance.spend(12)
    assert allowance.room_bytes == room - SMALLEST_DOCUMENT_BYTES == room - BATCH_BYTES
