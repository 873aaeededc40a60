"""What the harness promises of one worker, on the real broker."""

import signal
from collections import defaultdict

import pytest

from schemas.codec import encode
from tests.support.probe import Probe, feedback, until

pytestmark = [pytest.mark.real, pytest.mark.timeout(420)]


async def test_every_event_has_its_effect_in_the_order_of_its_key_and_everything_is_committed(probe: Probe) -> None:
    probe.produce(400)
    probe.start()
    await until(lambda: probe.committed() == probe.ends())

    by_key: dict[int, list[int]] = defaultdict(list)
    for _, _, query in probe.effects():
        by_key[int(query[1:]) % 20].append(int(query[1:]))
    assert probe.done() == {f"q{n}" for n in range(400)}
    assert all(numbers == sorted(numbers) for numbers in by_key.values())


async def test_poison_is_parked_with_its_reason_and_the_partition_moves_on(probe: Probe) -> None:
    probe.produce(60, comments={7: "poison", 8: "bug"})
    broken = probe.producer()
    broken.produce(probe.topic, key=b"t0/k0", value=b"no event")
    assert broken.flush(10) == 0
    probe.start()
    await until(lambda: probe.committed() == probe.ends())

    letters = {letter.error: letter for letter in probe.letters()}
    assert set(letters) == {"PoisonError", "ZeroDivisionError", "UndecodableError"}
    assert letters["PoisonError"].reason == "asked to be poison"
    assert letters["PoisonError"].tenant_id == "t1"
    assert letters["PoisonError"].attempts == 1
    assert letters["UndecodableError"].value == b"no event"
    assert letters["UndecodableError"].key == b"t0/k0"
    assert sorted(probe.gave_up()) == ["q7", "q8"]
    assert probe.done() == {f"q{n}" for n in range(60)} - {"q7", "q8"}


async def test_an_outage_is_lag_and_not_loss(probe: Probe) -> None:
    outage = probe.folder / "outage"
    outage.touch()
    probe.produce(30, comments={3: "outage"})
    worker = probe.start()
    await until(lambda: len(probe.done()) >= 27)
    assert "q3" not in probe.done()
    assert probe.committed() != probe.ends()
    assert worker.poll() is None

    outage.unlink()
    await until(lambda: probe.committed() == probe.ends())
    assert "q3" in probe.done()
    assert probe.letters() == []


async def test_a_graceful_stop_commits_what_is_done_and_lets_go_of_what_waits(probe: Probe) -> None:
    (probe.folder / "outage").touch()
    probe.produce(20, keys=20, comments={19: "outage"})
    worker = probe.start()
    await until(lambda: len(probe.done()) == 19)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0

    committed, ends = probe.committed(), probe.ends()
    held = [partition for partition in ends if committed[partition] != ends[partition]]
    assert len(held) == 1, "only the partition of the event that waits is behind"
    assert len(probe.effects()) == 19
    (probe.folder / "outage").unlink()
    probe.start()
    await until(lambda: probe.committed() == probe.ends())
    assert probe.done() == {f"q{n}" for n in range(20)}


async def test_a_fatal_error_ends_the_stage_with_one_sentence_and_without_acknowledging(probe: Probe) -> None:
    probe.produce(1, comments={0: "fatal"})
    worker = probe.start()
    await until(lambda: worker.poll() is not None)

    assert worker.returncode == 1
    assert "probe: asked to be fatal" in probe.log(worker)
    assert all(offset <= 0 for offset in probe.committed().values())
    assert probe.letters() == []


async def test_a_deploy_that_breaks_for_every_tenant_stops_itself(probe: Probe) -> None:
    probe.produce(200, keys=200, comments=dict.fromkeys(range(200), "bug"))
    worker = probe.start()
    await until(lambda: worker.poll() is not None)

    assert worker.returncode == 1
    assert "roll it back" in probe.log(worker)
    assert len(probe.letters()) < 60


async def test_a_key_in_the_wrong_partition_is_refused(probe: Probe) -> None:
    probe.produce(2)
    wrong = probe.producer()
    for partition in range(probe.partitions):
        wrong.produce(probe.topic, key=b"t0/k0", value=encode(feedback(99)), partition=partition)
    assert wrong.flush(10) == 0
    probe.start()
    await until(lambda: probe.committed() == probe.ends())
    assert [letter.error for letter in probe.letters()] == ["WrongPartitionError"]
