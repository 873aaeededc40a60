import threading

from streams.harness.watchdog import Watchdog


def test_a_worker_without_progress_is_ended() -> None:
    left, gone = list[int](), threading.Event()

    def leave(code: int) -> None:
        left.append(code)
        gone.set()

    with Watchdog(limit_s=0.05, is_busy=lambda: True, leave=leave):
        assert gone.wait(5)
    assert left == [75]


def test_idleness_is_no_stall() -> None:
    watchdog = Watchdog(limit_s=0.0, is_busy=lambda: False)
    watchdog._limit_s = 0.2
    watchdog.tick()
    assert watchdog.overdue() is None


def test_a_blocked_loop_is_seen_from_outside() -> None:
    watchdog = Watchdog(limit_s=0.0, is_busy=lambda: False)
    watchdog.progressed()
    assert watchdog.overdue() == "loop_blocked"
