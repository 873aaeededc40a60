"""What is started for one command is stopped with it, however the command is ended."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # Ctrl-C; a time limit or an init system; a terminal


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block as Ctrl-C does: by KeyboardInterrupt, so that its `finally` runs.

    Left alone where the process was started to ignore them (`nohup`). For the main thread.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if handler is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keep SIGINT, SIGTERM and SIGHUP from ending the block, which must end by itself; what came is forgotten then.

    An impatient second Ctrl-C arrives while what the first one left is being stopped: processes that nobody would stop
    any more. For the main thread.
    """
    before = {number: signal.signal(number, _pass) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _pass(_number: int, _frame: FrameType | None) -> None:
    """Do nothing. Unlike SIG_IGN it is not inherited by processes that are started meanwhile."""
