"""What goes wrong in a story, and for how long."""

from collections.abc import Callable
from pathlib import Path

from headwater.heads.replica import replica_folder
from schemas.topics import Topic
from tests.simulation.process import Process
from tests.simulation.world import World


class Fate:
    """The faults that a story's steps may name."""

    def __init__(self, world: World) -> None:
        self._world = world

    def _process(self, worker: str) -> Process | None:
        found = self._world.workers.get(worker)  # of a generation that is not there yet: nobody
        return None if found is None else found.process

    def _later(self, for_s: float, undo: Callable[[], object]) -> None:
        self._world.loop.call_later(for_s, undo)

    def kill(self, *, worker: str) -> None:
        if (process := self._process(worker)) is not None:
            process.kill()

    def kill_soon(self, *, worker: str, calls: int) -> None:
        if (process := self._process(worker)) is not None:
            process.at_call(calls, process.kill)

    def freeze(self, *, worker: str, for_s: float, replace: bool) -> None:
        process = self._process(worker)
        if process is None:
            return
        process.freeze()
        if replace and not worker.startswith("heads-"):  # a lock on its folder keeps a second follower out
            self._world.workers[worker].replace()
        self._later(for_s, process.thaw)

    def freeze_soon(self, *, worker: str, calls: int, for_s: float) -> None:
        process = self._process(worker)
        if process is None:
            return

        def freeze() -> None:
            process.freeze()
            self._later(for_s, process.thaw)

        process.at_call(calls, freeze)

    def cut_off(self, *, worker: str, for_s: float) -> None:
        if (process := self._process(worker)) is not None:
            process.cut(for_s)

    def away(self, *, service: str, for_s: float) -> None:
        found = self._world.services[service]
        found.away = True
        self._later(for_s, lambda: setattr(found, "away", False))

    def slow(self, *, service: str, for_s: float) -> None:
        found = self._world.services[service]
        found.slowness = 60.0
        self._later(for_s, lambda: setattr(found, "slowness", 1.0))

    def hide(self, *, service: str, for_s: float, hides_s: float) -> None:
        found = self._world.services[service]
        found.hides_s = hides_s
        self._later(for_s, lambda: setattr(found, "hides_s", 0.0))

    def wipe(self, *, service: str, for_s: float) -> None:
        self._world.wipe(service)
        self._later(for_s, lambda: self._world.rebuild(service))

    def wipe_cache(self) -> None:
        self._world.cache.clear()

    def clock(self, *, host: str, ms: int) -> None:
        self._world.hosts[host].offset_ms += ms

    def broker_away(self, *, for_s: float) -> None:
        self._world.broker_away = True
        self._later(for_s, lambda: setattr(self._world, "broker_away", False))

    def compact(self) -> None:
        for topic in self._world.broker.compacted:
            self._world.broker.compact(topic, min_age_s=2.0)

    def rewind(self, *, group: str) -> None:
        self._world.rewind(group)

    def hold(self, *, stage: str, for_s: float) -> None:
        """Nobody starts a stage for some time, now or when its generation is created."""
        self._world.hold(stage)
        self._later(for_s, lambda: self._world.release(stage))

    def withhold(self, *, replica: str, topic: str, for_s: float) -> None:
        world, follower, name = self._world, f"heads-{replica}", self._world.topic(Topic(topic))
        world.withhold(follower, name, 1)
        self._later(for_s, lambda: world.withhold(follower, name, -1))

    def expire(self, *, min_age_s: float) -> None:
        """Let the retention of a generation's topics end: what is read again from the log is kept for days only."""
        for topic in self._world.broker.expiring:
            self._world.broker.expire(topic, min_age_s=min_age_s)

    def expire_unread(self, *, min_age_s: float) -> None:
        """Let the retention of submissions end, whether admission has read them or not."""
        for topic in (Topic.DOCUMENTS_SUBMITTED, Topic.DOCUMENTS_BACKFILL):
            self._world.broker.expire(self._world.topic(topic), min_age_s=min_age_s)

    def scarce_credits(self, *, for_s: float) -> None:
        self._world.credits_are_scarce = True
        self._later(for_s, lambda: setattr(self._world, "credits_are_scarce", False))

    def mishaps(self, *, chance: float, for_s: float) -> None:
        self._world.chances = {"answer_lost": chance, "acknowledgement_lost": chance}
        self._later(for_s, self._world.chances.clear)

    def guess_what_is_stored(self, *, chance: float) -> None:
        """Let brokers refuse first records, and clients report them as delivered all the same (ADR 0205)."""
        self._world.chances = {"unconfirmed": chance}

    def lose_disk(self, *, worker: str) -> None:
        self.kill(worker=worker)
        place = self._world.workers[worker]
        place.fresh_disk += 1
        if worker.startswith("heads-"):
            self._world.empty(Path(place.host.name) / replica_folder(self._world.settings.heads))
