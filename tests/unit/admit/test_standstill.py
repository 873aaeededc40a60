"""A consumer that reads nothing although records wait: told from one that is at the end, busy, paused or new."""

from streams.admit.standstill import LEAST_READS, LOOK_S, Standstill

LIVE, BULK = ("live", 0), ("bulk", 0)


def test_records_that_wait_at_two_looks_are_not_being_read() -> None:
    standstill = Standstill()
    standstill.reached(LIVE, 5)
    assert not standstill.look({LIVE: 7}, 0.0), "they may have come just now"
    assert standstill.look({LIVE: 7}, LOOK_S) == {LIVE}
    assert standstill.look({LIVE: 9}, 2 * LOOK_S) == {LIVE}


def test_a_partition_that_nobody_has_read_of_stands_still_as_well() -> None:
    standstill = Standstill()
    standstill.look({LIVE: 1}, 0.0)
    assert standstill.look({LIVE: 1}, LOOK_S) == {LIVE}


def test_progress_between_two_looks_is_enough() -> None:
    standstill = Standstill()
    standstill.reached(LIVE, 5)
    standstill.look({LIVE: 7}, 0.0)
    standstill.reached(LIVE, 6)
    assert not standstill.look({LIVE: 7}, LOOK_S)
    assert standstill.look({LIVE: 7}, 2 * LOOK_S) == {LIVE}


def test_at_the_end_nothing_waits_whatever_the_last_records_were() -> None:
    standstill = Standstill()
    standstill.reached(LIVE, 6)
    standstill.reached(LIVE, 8)  # the client tells the end, behind two marks of transactions
    for look in range(3):
        assert not standstill.look({LIVE: 8}, look * LOOK_S)


def test_records_that_were_asked_for_again_wait_although_they_had_been_reached() -> None:
    standstill = Standstill()
    standstill.reached(LIVE, 8)
    standstill.went_back(LIVE)
    standstill.look({LIVE: 8}, 0.0)
    assert standstill.look({LIVE: 8}, LOOK_S) == {LIVE}
    standstill.reached(LIVE, 7)
    assert not standstill.look({LIVE: 8}, 2 * LOOK_S)
    assert not standstill.look({LIVE: 8}, 3 * LOOK_S)


def test_who_gets_a_partition_again_begins_at_what_is_committed() -> None:
    standstill = Standstill()
    standstill.reached(LIVE, 8)
    standstill.lost([LIVE])
    standstill.reached(LIVE, 5)
    standstill.look({LIVE: 8}, 0.0)
    assert standstill.look({LIVE: 8}, LOOK_S) == {LIVE}


def test_a_pause_excuses_its_partitions_alone() -> None:
    standstill = Standstill()
    standstill.look({LIVE: 1, BULK: 1}, 0.0)
    standstill.excused([BULK])
    assert standstill.look({LIVE: 1, BULK: 1}, LOOK_S) == {LIVE}


def test_a_look_is_due_after_its_time_and_some_empty_reads() -> None:
    standstill = Standstill()
    assert [standstill.is_due(0.0) for _ in range(LEAST_READS)] == [False] * (LEAST_READS - 1) + [True]
    standstill.look({}, 0.0)
    assert not any(standstill.is_due(LOOK_S - 0.1) for _ in range(2 * LEAST_READS))
    assert standstill.is_due(LOOK_S)


def test_a_broker_that_is_away_says_nothing_of_anybody() -> None:
    standstill = Standstill()
    standstill.look({LIVE: 1}, 0.0)
    assert not standstill.look({}, LOOK_S)
    assert not standstill.look({LIVE: 1}, 2 * LOOK_S)
