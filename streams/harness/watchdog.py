"""Ends a worker that has work and makes no progress: the supervisor starts another one."""

import os
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import structlog

log = structlog.get_logger(__name__)
EXIT_CODE = 75  # "temporary failure": a restart is the cure


class Progress:
    """When progress was last made. Long work says so between its parts."""

    def __init__(self) -> None:
        self.last_s = time.monotonic()

    def made(self) -> None:
        """Say that some was made just now."""
        self.last_s = time.monotonic()


class Watchdog:
    """Looks from a thread of its own, so that a blocked loop is seen as well."""

    def __init__(
        self,
        *,
        limit_s: float,
        is_busy: Callable[[], bool],
        leave: Callable[[int], object] = os._exit,
        progress: Progress | None = None,
    ) -> None:
        self._limit_s, self._is_busy, self._leave = limit_s, is_busy, leave
        self._progress = progress or Progress()
        self._loop_last = time.monotonic()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watchdog", daemon=True)

    def progressed(self) -> None:
        """Say that an attempt ended or that there is nothing to do."""
        self._progress.made()

    def tick(self) -> None:
        """Say that the loop runs. Called every second; without work it counts as progress."""
        self._loop_last = time.monotonic()
        if not self._is_busy():
            self._progress.made()

    def overdue(self) -> str | None:
        """Return what has stopped, None when all is well."""
        now = time.monotonic()
        if now - self._loop_last > self._limit_s:
            return "loop_blocked"
        return "no_progress" if now - self._progress.last_s > self._limit_s else None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stopped.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stopped.wait(self._limit_s / 10):
            reason = self.overdue()
            if reason is not None:
                log.error("worker_stalled", reason=reason, budget_s=self._limit_s)
                self._leave(EXIT_CODE)
                return
