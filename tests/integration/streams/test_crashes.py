"""Kills, rebalances and events that kill their worker."""

import signal

import pytest

from tests.support.probe import Probe, until

pytestmark = [pytest.mark.real, pytest.mark.timeout(420)]


async def test_a_kill_between_effect_and_acknowledgement_repeats_the_event(probe: Probe) -> None:
    (probe.folder / "stall-after-effect").touch()
    probe.produce(1)
    worker = probe.start()
    await until(lambda: probe.done() == {"q0"})
    worker.kill()
    worker.wait(10)
    assert all(offset <= 0 for offset in probe.committed().values())

    (probe.folder / "stall-after-effect").unlink()
    probe.start()
    await until(lambda: len(probe.effects()) == 2)
    await until(lambda: probe.committed() | {p: e for p, e in probe.ends().items() if e == 0} == probe.ends())
    assert probe.letters() == []


async def test_kills_in_the_middle_of_a_backlog_lose_nothing_and_keep_the_order(probe: Probe) -> None:
    total = 1500
    probe.produce(total)
    for threshold in (200, 600):
        worker = probe.start()
        await until(lambda threshold=threshold: len(probe.done()) >= threshold)  # type: ignore[misc]  # bound now
        worker.kill()
        worker.wait(10)
    probe.start()
    await until(lambda: probe.committed() == probe.ends())

    assert probe.done() == {f"q{n}" for n in range(total)}
    assert probe.letters() == []
    first_seen = list(dict.fromkeys(query for _, _, query in probe.effects()))
    for key in range(20):
        of_key = [query for query in first_seen if int(query[1:]) % 20 == key]
        assert of_key == [f"q{n}" for n in range(key, total, 20)]


async def test_a_rebalance_with_work_in_hand_loses_nothing(probe: Probe) -> None:
    total = 400
    probe.produce(total, comments=dict.fromkeys(range(0, total, 5), "slow"))
    first = probe.start()
    await until(lambda: len(probe.done()) >= 20)
    second = probe.start()
    await until(lambda: len(list(probe.folder.glob("effects-*.txt"))) == 2 and len(probe.done()) >= 100)
    first.send_signal(signal.SIGTERM)
    assert first.wait(20) == 0
    await until(lambda: probe.committed() == probe.ends())
    assert second.poll() is None
    assert probe.done() == {f"q{n}" for n in range(total)}
    assert probe.letters() == []


async def test_a_frozen_worker_that_wakes_up_takes_nothing_back(probe: Probe) -> None:
    probe.produce(300, comments=dict.fromkeys(range(0, 300, 10), "slow"))
    zombie = probe.start()
    await until(lambda: len(probe.done()) >= 20)
    zombie.send_signal(signal.SIGSTOP)
    probe.start()
    await until(lambda: probe.committed() == probe.ends())
    zombie.send_signal(signal.SIGCONT)
    probe.produce(50, first=300)
    await until(lambda: probe.done() == {f"q{n}" for n in range(350)})
    await until(lambda: probe.committed() == probe.ends())
    assert probe.letters() == []


async def test_an_event_that_kills_its_worker_is_parked_and_its_neighbours_are_done(probe: Probe) -> None:
    probe.produce(30, keys=30, comments={13: "kill"})
    deaths = 0
    for _ in range(6):  # as a supervisor would
        worker = probe.start()
        await until(lambda worker=worker: worker.poll() is not None or ("q29" in probe.done() and _settled(probe)))  # type: ignore[misc]  # bound now
        if worker.poll() is None:
            break
        assert worker.returncode == -signal.SIGKILL
        deaths += 1
    letters = probe.letters()
    assert [letter.error for letter in letters] == ["WorkerKilledError"]
    assert letters[0].attempts == 3
    assert 3 <= deaths <= 4, "once in company, which does not count, and three times alone"
    assert probe.gave_up() == ["q13"]
    assert probe.done() == {f"q{n}" for n in range(30)} - {"q13"}


async def test_a_letter_parked_twice_says_the_same(probe: Probe) -> None:
    probe.produce(40, keys=40, comments={5: "poison", 39: "slow"})
    worker = probe.start()
    await until(lambda: len(probe.letters()) == 1)
    worker.kill()  # before the next commit, most likely: the letter is then written again
    worker.wait(10)
    probe.start()
    await until(lambda: probe.committed() == probe.ends())
    origins = {(letter.origin, letter.error, letter.reason) for letter in probe.letters()}
    assert len(origins) == 1


def _settled(probe: Probe) -> bool:
    return probe.committed() == probe.ends()
