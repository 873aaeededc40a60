"""Ends of logs and tokens."""

import asyncio
from collections.abc import Collection, Mapping

import pytest

from headwater.clients.kafka.records import Offsets
from headwater.errors import PoisonError, RetryableError
from headwater.heads.ends import ask_ends
from headwater.heads.waiting import AppliedPositions, NotAppliedError
from headwater.ports.heads import Positions
from headwater.settings import Settings

CHANGED, DIRECTORY, SUBMITTED = "rag.documents.changed", "rag.directory.changed", "rag.documents.submitted"


class Broker:
    """Ends that a test sets."""

    def __init__(self) -> None:
        self.stable: Offsets = {CHANGED: {0: 0, 1: 0}, DIRECTORY: {0: 0}}
        self.open: dict[str, int] = {}  # offsets of open transactions on top, by topic
        self.committed: Offsets = {SUBMITTED: {}}
        self.asked: list[Mapping[str, Collection[int]]] = []

    async def log_ends(self, partitions: Mapping[str, Collection[int]], *, committed: bool = True) -> Offsets:
        self.asked.append(partitions)
        return {
            topic: {n: self.stable[topic][n] + (0 if committed else self.open.get(topic, 0)) for n in numbers}
            for topic, numbers in partitions.items()
        }

    async def committed_offsets(self, group: str, topics: Collection[str]) -> Offsets:
        assert group == "headwater-admit"
        return {topic: dict(self.committed[topic]) for topic in topics}


class Replica:
    """Positions that a test sets: the part of `Heads` that waiting looks at."""

    def __init__(self) -> None:
        self.positions: Offsets = {CHANGED: {0: 0, 1: 0}, DIRECTORY: {0: 0}}

    def applied(self) -> Positions:
        return self.positions


async def ends_reached(broker: Broker, applied: int, *, open_too: bool = False) -> bool:
    ends = await ask_ends(broker, {CHANGED: (0,)}, transactional={CHANGED}, open_too=open_too)
    return ends.reached({CHANGED: {0: applied}})


async def test_the_last_record_of_a_settled_log_is_a_marker() -> None:
    broker = Broker()
    broker.stable[CHANGED][0] = 10
    assert await ends_reached(broker, 9)
    assert not await ends_reached(broker, 8)


async def test_below_an_open_transaction_the_last_record_may_be_data() -> None:
    broker = Broker()
    broker.stable[CHANGED][0] = 10
    broker.open[CHANGED] = 3
    assert not await ends_reached(broker, 9)
    assert await ends_reached(broker, 10)


async def test_who_waits_for_a_certain_write_waits_for_open_transactions() -> None:
    broker = Broker()
    broker.stable[CHANGED][0] = 10
    broker.open[CHANGED] = 3
    assert not await ends_reached(broker, 12, open_too=True)
    assert await ends_reached(broker, 13, open_too=True)


async def test_a_topic_that_others_write_to_has_no_marker() -> None:
    broker = Broker()
    broker.stable[CHANGED][0] = 10
    ends = await ask_ends(broker, {CHANGED: (0,)}, transactional=())
    assert not ends.reached({CHANGED: {0: 9}})


async def test_an_empty_log_is_reached() -> None:
    assert await ends_reached(Broker(), 0)


def waiting(broker: Broker, replica: Replica) -> AppliedPositions:
    return AppliedPositions(Settings(), broker, replica)  # type: ignore[arg-type]  # only `applied` is asked


async def test_a_token_ends_when_the_replica_has_what_admission_made_of_it() -> None:
    broker, replica = Broker(), Replica()
    task = asyncio.create_task(waiting(broker, replica).wait({SUBMITTED: {1: 4}}, timeout_s=5))
    await asyncio.sleep(0.02)
    assert not task.done()
    broker.stable[CHANGED][1] = 8
    broker.committed[SUBMITTED] = {1: 5}
    await asyncio.sleep(0.05)
    assert not task.done()
    replica.positions[CHANGED][1] = 7
    await task
    assert CHANGED in broker.asked[0]
    assert set(broker.asked[0][CHANGED]) == {1}
    assert set(broker.asked[0][DIRECTORY]) == {0}


async def test_a_submission_that_changed_nothing_ends_too() -> None:
    broker, replica = Broker(), Replica()
    broker.committed[SUBMITTED] = {0: 1}
    await waiting(broker, replica).wait({SUBMITTED: {0: 0}}, timeout_s=1)


@pytest.mark.parametrize(("committed", "who"), [({}, "admission"), ({0: 1}, "this replica")])
async def test_the_deadline_says_who_was_waited_for(committed: dict[int, int], who: str) -> None:
    broker, replica = Broker(), Replica()
    broker.committed[SUBMITTED] = committed
    broker.stable[CHANGED][0] = 5
    with pytest.raises(NotAppliedError, match=who) as raised:
        await waiting(broker, replica).wait({SUBMITTED: {0: 0}}, timeout_s=0.05)
    assert isinstance(raised.value, RetryableError)


async def test_a_foreign_token_is_refused() -> None:
    with pytest.raises(PoisonError, match="after"):
        await waiting(Broker(), Replica()).wait({"rag.audit.recorded": {0: 1}}, timeout_s=1)
