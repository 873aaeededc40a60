"""Backfill that was read ahead: whose turn it is, and what is committed of it."""

import random

import pytest

from headwater.clients.kafka.records import Record
from schemas.events.base import Position
from streams.admit import backlog as module
from streams.admit.backlog import QUANTUM_BYTES, WINDOW, Backlog, Place, Window

PLENTY = 2**40


def record(tenant: str, offset: int, *, cost: int = 1024, partition: int = 0) -> Record:
    """A record whose cost is in its value."""
    position = Position(topic="backfill", partition=partition, offset=offset)
    return Record(
        position=position, key=f"{tenant}/d{offset}".encode(), value=b"%d" % cost, headers=(), timestamp_ms=None
    )


def backlog(*places: Place) -> Backlog:
    made = Backlog(lambda each: int(each.value or b"0"))
    made.begin(dict(enumerate(places or (Place(offset=0),))))
    return made


def taken(held: Backlog, at_most: int = 1000, room_bytes: int = PLENTY) -> list[Record]:
    records = held.take(at_most=at_most, room_bytes=room_bytes)
    held.settle(records)
    return records


def tenants(records: list[Record]) -> list[str]:
    return [(each.key or b"").decode().partition("/")[0] for each in records]


def bytes_of(records: list[Record], tenant: str) -> int:
    return sum(int(each.value or b"0") for each in records if (each.key or b"").startswith(tenant.encode()))


class TestShares:
    def test_a_tenant_behind_a_crowd_gets_every_second_turn(self) -> None:
        held = backlog()
        held.add(record("crowd", n) for n in range(2000))
        held.add(record("small", 2000 + n) for n in range(100))
        first = taken(held, at_most=400)
        assert tenants(first).count("small") == 100
        assert [each.position.offset for each in first if (each.key or b"").startswith(b"crowd/")] == list(range(300))

    def test_bytes_are_shared_not_documents(self) -> None:
        held = backlog()
        for n in range(0, 1000, 2):
            held.add([record("big", n, cost=40 * 1024), record("small", n + 1, cost=1024)])
        first = taken(held, room_bytes=8 * QUANTUM_BYTES)
        assert abs(bytes_of(first, "big") - bytes_of(first, "small")) <= QUANTUM_BYTES + 40 * 1024

    def test_a_document_above_the_quantum_saves_up_and_comes(self) -> None:
        held = backlog()
        held.add([record("huge", 0, cost=10 * QUANTUM_BYTES), *(record("small", n) for n in range(1, 2000))])
        order = tenants(taken(held, at_most=3000))
        assert 8 * 64 <= order.index("huge") <= 11 * 64

    def test_who_is_away_saves_nothing_up(self) -> None:
        held = backlog()
        held.add(record("a", n) for n in range(500))
        held.add([record("b", 500)])
        taken(held, at_most=300)
        held.add(record("b", n) for n in range(501, 1000))
        next_ones = tenants(taken(held, at_most=200))
        assert 60 <= next_ones.count("b") <= 140

    def test_without_room_nothing_is_taken_and_little_room_is_used(self) -> None:
        held = backlog()
        held.add([record("a", 0), record("a", 1)])
        assert held.take(at_most=10, room_bytes=0) == []
        assert len(held.take(at_most=10, room_bytes=1)) == 1


class TestPlaces:
    def test_what_is_open_holds_the_offset_and_the_note_tells_what_is_settled_above(self) -> None:
        held = backlog(Place(offset=10))
        held.add([record("a", 10), record("a", 11), record("b", 12)])
        later = [record("b", 12)]
        assert held.places(later) == {0: Place(offset=10, note="4")}
        held.settle(later)
        assert held.places([record("a", 10)]) == {0: Place(offset=11, note="2")}
        assert held.places([record("a", 10), record("a", 11)]) == {0: Place(offset=13)}

    def test_a_successor_settles_what_is_left_and_nothing_else(self) -> None:
        successor = backlog(Place(offset=10, note="4"))
        successor.add([record("a", 10), record("a", 11), record("b", 12), record("a", 13)])
        assert [each.position.offset for each in taken(successor)] == [10, 11, 13]
        assert successor.places([]) == {}

    def test_holes_of_the_topic_are_no_open_records(self) -> None:
        held = backlog()
        held.add([record("a", 5), record("b", 9)])
        assert held.places([record("a", 5)]) == {0: Place(offset=9)}

    def test_put_back_keeps_the_order_and_leaves_out_what_was_settled(self) -> None:
        held = backlog()
        held.add([*(record("a", n) for n in range(3)), *(record("b", n) for n in range(3, 6))])
        records = held.take(at_most=5, room_bytes=PLENTY)
        held.settle(records[:1])
        held.put_back(records)
        rest = taken(held)
        assert [each.position.offset for each in rest if tenants([each]) == ["a"]] == [1, 2]
        assert [each.position.offset for each in rest if tenants([each]) == ["b"]] == [3, 4, 5]

    def test_a_full_window_or_full_memory_is_not_read_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        held = backlog(Place(offset=0), Place(offset=0))
        held.add(record("a", n) for n in range(WINDOW))
        assert held.full == {0}
        taken(held, at_most=1)
        assert held.full == frozenset()
        monkeypatch.setattr(module, "HELD_BYTES", 10)
        assert held.full == {0, 1}

    def test_a_note_fits_into_what_a_broker_takes(self) -> None:
        window = Window(Place(offset=0))
        offsets = set(range(1, WINDOW + 1000))
        for offset in (0, *offsets):
            window.read(offset)
        note = window.after(offsets).note
        assert len(note) < 4096
        assert not Window(Place(offset=0, note=note)).read(1)


@pytest.mark.parametrize("seed", range(20))
def test_crashes_at_any_place_settle_every_record_once_and_in_order_of_its_tenant(seed: int) -> None:
    chance = random.Random(seed)
    log = [record(chance.choice("abc"), n, cost=chance.choice((1024, 9000, 200_000))) for n in range(300)]
    committed, settled = Place(offset=0), list[Record]()
    while len(settled) < len(log):
        held = backlog(committed)
        position = committed.offset
        for _ in range(chance.randrange(1, 6)):
            step = log[position : position + chance.randrange(60)]
            held.add(step)
            position += len(step)
            records = held.take(at_most=chance.randrange(1, 30), room_bytes=chance.choice((1, 50_000, PLENTY)))
            if chance.random() < 0.3:
                held.put_back(records)
            elif records:
                committed = held.places(records)[0]
                held.settle(records)
                settled += records
    assert sorted(each.position.offset for each in settled) == list(range(300))
    for tenant in "abc":
        offsets = [each.position.offset for each in settled if (each.key or b"").startswith(tenant.encode())]
        assert offsets == sorted(offsets)
    assert committed == Place(offset=300)
