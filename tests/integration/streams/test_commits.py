"""Regression tests of the commit ledger and of committed reads: what Faust alone gets wrong."""

import pytest

from schemas.codec import encode
from tests.support.probe import Probe, feedback, until

pytestmark = [pytest.mark.real, pytest.mark.timeout(420)]


async def test_a_single_unsettled_offset_is_not_committed_past(probe: Probe) -> None:
    """Upstream issue 606: Faust takes a lone gap right at the committed offset for a hole in the log."""
    (probe.folder / "outage").touch()
    probe.produce(1, comments={0: "outage"})
    (held,) = [partition for partition, end in probe.ends().items() if end]
    worker = probe.start()
    for first in (1, 101, 201):  # three rounds: each ends with a commit that could have passed the open offset
        probe.produce(100, first=first, keys=1000)  # documents of their own: none waits behind the open event
        await until(lambda first=first: len(probe.done()) == first + 99)  # type: ignore[misc]  # bound now
        await until(lambda: all(probe.committed()[p] == end for p, end in probe.ends().items() if p != held))
    assert probe.committed()[held] in {-1001, 0}, "the unsettled event is the first of its partition"
    worker.kill()
    worker.wait(10)

    (probe.folder / "outage").unlink()
    probe.start()
    await until(lambda: probe.committed() == probe.ends())
    assert "q0" in probe.done()


async def test_commits_advance_over_the_control_records_of_a_transactional_producer(probe: Probe) -> None:
    producer = probe.producer(**{"transactional.id": f"{probe.prefix}writer"})
    producer.init_transactions(20)
    for number in range(120):
        producer.begin_transaction()
        producer.produce(probe.topic, key=f"t0/k{number % 7}".encode(), value=encode(feedback(number)))
        producer.commit_transaction(20)
    probe.start()
    await until(lambda: len(probe.done()) == 120)

    # The marker behind the last record is never delivered, so the position stays one below the end.
    expected = {p: end - 1 if end else -1001 for p, end in probe.ends().items()}
    await until(lambda: probe.committed() == expected)


async def test_aborted_records_are_never_seen(probe: Probe) -> None:
    producer = probe.producer(**{"transactional.id": f"{probe.prefix}writer"})
    producer.init_transactions(20)
    for number in range(60):
        producer.begin_transaction()
        producer.produce(probe.topic, key=f"t0/k{number % 7}".encode(), value=encode(feedback(number)))
        producer.flush(10)
        if number % 3 == 0:
            producer.abort_transaction(20)
        else:
            producer.commit_transaction(20)
    probe.start()
    kept = {f"q{n}" for n in range(60) if n % 3}
    await until(lambda: len(probe.done()) >= len(kept))
    assert probe.done() == kept


async def test_a_position_that_retention_removed_ends_the_stage_with_what_to_rebuild(probe: Probe) -> None:
    probe.produce(50)
    probe.delete_before(10)
    worker = probe.start(PROBE_DENSE="1")
    await until(lambda: worker.poll() is not None)
    assert worker.returncode == 1
    assert "removed by retention" in probe.log(worker)
    assert "headwater generations create" in probe.log(worker)
    assert all(offset < 0 for offset in probe.committed().values())
