"""Reads ahead within a bound of bytes, keeps the order of each key, starts live work first and tenants in turns."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from headwater.errors import FatalError
from headwater.telemetry.metrics import BUFFERED_BYTES
from schemas.events.base import Lane
from schemas.topics import Topic
from streams.harness.delivery import Delivery
from streams.harness.errors import ReleasedError
from streams.harness.turns import Turns

# What has places of its own: a lane, or a topic whose events take so long that they must not fill the lanes'.
Queue: TypeAlias = Lane | Topic


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of a stage goes on at once."""

    live_keys: int  # documents of the live lane worked on side by side; backfill never takes their places
    backfill_keys: int
    buffer_bytes: int  # delivered and unsettled; one event more than this is held at the most
    own_keys: Mapping[Topic, int] = field(default_factory=dict)  # topics with places of their own, whatever the lane


class Dispatcher:
    """Starts the work on deliveries and waits for it. Lives in one event loop.

    One event of a key is in work at a time, in the order of delivery. Among the keys, those with a live event go
    first, and they have places of their own: an edit does not wait for a backlog that was delivered before it. Within
    a lane tenants take turns (ADR 0105).
    Suspects (events that were in work when a worker died) are run first and alone.
    """

    def __init__(
        self,
        settle: Callable[[Delivery], Awaitable[None]],
        *,
        limits: Limits,
        is_suspect: Callable[[Delivery], bool],
        on_fatal: Callable[[BaseException], None],
        stage: str,
    ) -> None:
        self._settle, self._limits, self._is_suspect, self._on_fatal = settle, limits, is_suspect, on_fatal
        self._queues: dict[object, deque[Delivery]] = {}
        self._places: dict[Queue, int] = {Lane.LIVE: limits.live_keys, Lane.BACKFILL: limits.backfill_keys}
        for topic, places in limits.own_keys.items():
            self._places[topic] = places
        self._ready: dict[Queue, Turns] = {queue: Turns() for queue in self._places}
        self._running: dict[object, Queue] = {}
        self._tasks: dict[asyncio.Task[None], None] = {}  # in the order of their beginning
        self._suspects: dict[Delivery, None] = {}  # in the order of delivery
        self._bytes = 0
        self._buffered = BUFFERED_BYTES.labels(stage=stage)
        self._room = asyncio.Event()
        self.released = asyncio.Event()  # set: let go of everything that only waits
        self.released.set()

    @property
    def busy(self) -> bool:
        """Whether any work is in hand."""
        return bool(self._queues)

    def oldest_received_s(self) -> float | None:
        """Return when the oldest delivery in hand arrived, on the monotonic clock."""
        return min((queue[0].received_s for queue in self._queues.values()), default=None)

    async def offer(self, delivery: Delivery) -> None:
        """Take a delivery; returns when there is room for another one."""
        if self.released.is_set():
            delivery.abandon()
            return
        self._add(delivery)
        self._start()
        while self._bytes >= self._limits.buffer_bytes and not self.released.is_set():
            self._room.clear()
            await self._room.wait()

    async def release(self, *, within_s: float) -> None:
        """Let go of all that has not begun or only waits, give the rest this long, then cancel it.

        What is cancelled is as harmless as a kill: it was not acknowledged and will be done again.
        """
        self.released.set()
        self._room.set()
        for key, queue in list(self._queues.items()):
            for delivery in list(queue)[1 if key in self._running else 0 :]:
                self._remove(key, delivery)
                delivery.abandon()
        for ready in self._ready.values():
            ready.clear()
        tasks = list(self._tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=within_s)
            late = [task for task in tasks if not task.done()]
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def resume(self) -> None:
        """Accept deliveries (again)."""
        self.released.clear()

    def _add(self, delivery: Delivery) -> None:
        key = delivery.order
        queue = self._queues.setdefault(key, deque())
        if queue:
            queue[-1].successor.delivery = delivery
        queue.append(delivery)
        self._bytes += delivery.size_bytes
        self._buffered.set(self._bytes)
        if self._is_suspect(delivery):
            self._suspects[delivery] = None
        if key not in self._running:
            self._make_ready(key)

    def _make_ready(self, key: object) -> None:
        """Put a key where its queue belongs: a live event pulls the older ones of its document along."""
        waiting = self._queues[key]
        queue: Queue = Lane.LIVE if any(each.lane is Lane.LIVE for each in waiting) else Lane.BACKFILL
        if waiting[0].topic in self._limits.own_keys:  # keys of one topic only: a key's order names its topic
            queue = waiting[0].topic
        elif queue is Lane.LIVE:
            self._ready[Lane.BACKFILL].discard(key)
        self._ready[queue].add(key, waiting[0].tenant)

    def _start(self) -> None:
        while not self.released.is_set() and (choice := self._choose()) is not None:
            queue, key = choice
            self._ready[queue].take(key)
            self._running[key] = queue
            task = asyncio.create_task(self._work(key))
            self._tasks[task] = None
            task.add_done_callback(self._tasks.pop)

    def _choose(self) -> tuple[Queue, object] | None:
        if self._suspects:
            return None if self._running else self._first_suspect()
        for queue, places in self._places.items():
            ready = self._ready[queue]
            if ready and sum(each is queue for each in self._running.values()) < places:
                return queue, ready.first()
        return None

    def _first_suspect(self) -> tuple[Queue, object]:
        """Return the oldest suspect's key; what lies before it in its queue is run alone as well."""
        suspect = next(iter(self._suspects))
        return next((queue, suspect.order) for queue, ready in self._ready.items() if suspect.order in ready)

    async def _work(self, key: object) -> None:
        delivery = self._queues[key][0]
        try:
            await self._settle(delivery)
        except ReleasedError:
            delivery.abandon()
        except asyncio.CancelledError:
            delivery.abandon()
            if not self.released.is_set():  # going on with the next event would pass over this one
                self._end(FatalError("the work on an event was cancelled without a reason: the stage must start again"))
        except BaseException as error:  # noqa: BLE001 - fatal, or a bug of the harness: nothing is acknowledged, the stage ends
            delivery.abandon()
            self._end(error)
        finally:
            del self._running[key]
            self._remove(key, delivery)
            if key in self._queues and not self.released.is_set():
                self._make_ready(key)
            self._start()

    def _end(self, error: BaseException) -> None:
        self._on_fatal(error)
        self.released.set()
        self._room.set()

    def _remove(self, key: object, delivery: Delivery) -> None:
        queue = self._queues[key]
        queue.remove(delivery)
        if not queue:
            del self._queues[key]
        self._suspects.pop(delivery, None)
        self._bytes -= delivery.size_bytes
        self._buffered.set(self._bytes)
        if self._bytes < self._limits.buffer_bytes:
            self._room.set()
