"""What a seed tells: steps at their times."""

from random import Random
from typing import Any

from tests.simulation.chapters import CHAPTERS
from tests.simulation.steps import ACCESS, DOCUMENTS, REPLICAS, SPAN_S, STAGE_WORKERS, USERS, Step

_FULL_SYNC_EVERY = 10  # stories
_CENTRAL = ("admit-0", "admit-1", "heads-east", "heads-west")
WORKERS = (
    *STAGE_WORKERS,
    *_CENTRAL,
    *_CENTRAL,
    "status-0",
    "sweep-0",
)  # the more a worker decides, the more befalls it
_DEPENDENTS = {
    "milvus": "index-vectors",
    "elasticsearch": "index-keywords",
    "triton": "embed",
    "blobs": "prepare",
    "cache": "prepare",
}


def tell(seed: int) -> tuple[Step, ...]:
    """Return a seed's story."""
    steps = list(_Teller(Random(f"story/{seed}")).story(full_sync=seed % _FULL_SYNC_EVERY == 0))
    for chapter, every, which in CHAPTERS:
        if seed % every == which:
            steps += chapter(Random(f"{chapter.__name__}/{seed}"))
    return tuple(sorted(steps, key=lambda step: step.at_s))


class _Teller:
    """Makes up one story."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._drafts = [0] * DOCUMENTS
        self._versions = [0] * DOCUMENTS

    def story(self, *, full_sync: bool) -> tuple[Step, ...]:
        steps = [self._put(0.5 + document * 0.01, document) for document in range(DOCUMENTS)]
        changes = [self._change(self._time()) for _ in range(self._random.randint(18, 30))]
        steps += changes
        steps += [self._ask_at_once(change) for change in changes if self._random.random() < 0.3]
        steps += [self._ask(self._time()) for _ in range(self._random.randint(14, 24))]
        steps += [self._people(self._time()) for _ in range(self._random.randint(1, 5))]
        faults = [self._fault(self._time()) for _ in range(self._random.randint(3, 9))]
        steps += faults
        steps += [more for fault in faults for more in self._made_worse(fault)]
        if full_sync:
            steps += self._full_sync()
        return tuple(sorted(steps, key=lambda step: step.at_s))

    def _time(self) -> float:
        return round(self._random.uniform(1.0, SPAN_S), 3)

    def _put(self, at_s: float, document: int, **more: Any) -> Step:
        self._drafts[document] += 1
        self._versions[document] += 1
        what: dict[str, Any] = {
            "document": document,
            "draft": self._drafts[document],
            "paragraphs": self._random.choice((1, 2, 3, 3, 5, 12)),
            "access": self._random.choice(ACCESS),
            "version": self._version(document),
            "lane": self._random.choice(("live", "live", "backfill")),
        }
        return Step(at_s=at_s, do="put", what=what | more)

    def _full_sync(self) -> list[Step]:
        """Drafts of two documents, and the other tenant's, whose turns come in between; then admission dies.

        The other tenant's second one is out of date: a refusal leaves nothing in the heads to know it by.
        """
        at_s, rival = self._time(), DOCUMENTS - 1
        steps = [Step(at_s=at_s, do="scarce_credits", what={"for_s": 4.0})]
        steps += [self._put(at_s, document, lane="backfill") for document in (*(0, rival - 1) * 3, rival)]
        steps.append(self._put(at_s, rival, lane="backfill", version=0))
        died_s = round(at_s + self._random.uniform(0.6, 1.4), 3)
        steps += [Step(at_s=died_s, do="kill", what={"worker": f"admit-{slot}"}) for slot in range(2)]
        return steps

    def _version(self, document: int) -> int | None:
        kind = self._random.random()
        if kind < 0.3:
            return None
        return max(1, self._versions[document] - (self._random.randint(1, 4) if kind < 0.45 else 0))

    def _change(self, at_s: float) -> Step:  # noqa: PLR0911 - one return for each kind of change
        document = self._random.randrange(DOCUMENTS)
        kind = self._random.random()
        if kind < 0.40:
            return self._put(at_s, document)
        if kind < 0.46:
            return self._put(at_s, document, flaw=self._random.choice(("blank", "refused", "refused", "deadly")))
        if kind < 0.62:
            return Step(at_s=at_s, do="patch", what={"document": document, "access": self._random.choice(ACCESS)})
        if kind < 0.74:
            return Step(
                at_s=at_s, do="patch", what={"document": document, "title": f"title {self._random.randrange(99)}"}
            )
        if kind < 0.80:
            return Step(
                at_s=at_s, do="patch", what={"document": document, "attributes": {"status": self._random.randrange(5)}}
            )
        if kind < 0.84:
            return Step(at_s=at_s, do="patch", what={"document": document, "knowledge_base": "archive"})
        return Step(at_s=at_s, do="delete", what={"document": document})

    def _ask(self, at_s: float) -> Step:
        what = {
            "replica": self._random.choice(REPLICAS),
            "user": self._random.choice(USERS),
            "document": self._random.randrange(DOCUMENTS),
            "mode": self._random.choice(("hybrid", "vector", "keyword")),
            "after": self._random.random() < 0.4,
        }
        return Step(at_s=at_s, do="ask", what=what)

    def _ask_at_once(self, change: Step) -> Step:
        """A caller who looks for what they have just written."""
        at_s = round(change.at_s + self._random.uniform(0.001, 0.05), 3)
        asked = self._ask(at_s)
        return Step(at_s=at_s, do="ask", what=asked.what | {"document": change.what["document"], "after": True})

    def _people(self, at_s: float) -> Step:
        kind = self._random.random()
        if kind < 0.6:
            members = [user for user in USERS if self._random.random() < 0.5]
            return Step(
                at_s=at_s, do="group", what={"name": self._random.choice(("staff", "partners")), "members": members}
            )
        if kind < 0.8:
            return Step(
                at_s=at_s, do="guest", what={"user": self._random.choice(USERS), "guest": self._random.random() < 0.5}
            )
        return Step(at_s=at_s, do="knowledge_base", what={"name": "archive", "present": self._random.random() < 0.5})

    def _made_worse(self, fault: Step) -> list[Step]:
        """Faults come together, and callers ask when it is least convenient."""
        if fault.do in {"away", "slow"}:
            return self._kills_during(fault)
        if fault.do == "hide":
            during = [self._change(self._within(fault)) for _ in range(4)]
            return [*during, *(self._ask(round(each.at_s + self._random.uniform(0.1, 0.4), 3)) for each in during)]
        if fault.do == "cut_off" and fault.what["worker"].startswith("heads-"):
            replica = fault.what["worker"].removeprefix("heads-")
            worse = [self._change(self._within(fault)), self._change(self._within(fault))]
            for _ in range(4):
                asked = self._ask(self._within(fault))
                worse.append(Step(at_s=asked.at_s, do="ask", what=asked.what | {"replica": replica, "after": False}))
            if self._random.random() < 0.4:
                worse.append(Step(at_s=fault.at_s, do="clock", what={"host": replica, "ms": -3_600_000}))
            return worse
        return []

    def _within(self, fault: Step) -> float:
        return round(fault.at_s + float(fault.what["for_s"]) * self._random.random(), 3)

    def _kills_during(self, outage: Step) -> list[Step]:
        """Work that waits for a store is worth a kill: what was acknowledged too early is lost with it."""
        at_s = self._within(outage)
        stage = _DEPENDENTS[outage.what["service"]]
        return [Step(at_s=at_s, do="kill", what={"worker": f"{stage}-{number}"}) for number in range(2)]

    def _fault(self, at_s: float) -> Step:
        random = self._random
        for_s = round(random.choice((0.3, 1.0, 3.0, 9.0, 14.0)) * random.uniform(0.5, 1.5), 2)
        choices: list[tuple[int, str, dict[str, Any]]] = [
            (5, "kill", {"worker": random.choice(WORKERS)}),
            (6, "kill_soon", {"worker": random.choice(WORKERS), "calls": random.randint(1, 12)}),
            (5, "freeze", {"worker": random.choice(WORKERS), "for_s": for_s, "replace": random.random() < 0.5}),
            (
                4,
                "freeze_soon",
                {"worker": random.choice(STAGE_WORKERS[4:]), "calls": random.randint(1, 12), "for_s": for_s + 8.0},
            ),
            (3, "freeze_soon", {"worker": random.choice(WORKERS), "calls": random.randint(1, 12), "for_s": for_s}),
            (3, "cut_off", {"worker": random.choice((*WORKERS, "heads-east", "heads-west")), "for_s": for_s}),
            (
                3,
                "away",
                {"service": random.choice(("milvus", "elasticsearch", "triton", "blobs", "cache")), "for_s": for_s},
            ),
            (2, "slow", {"service": random.choice(("milvus", "elasticsearch", "triton", "blobs")), "for_s": for_s}),
            (2, "hide", {"service": random.choice(("milvus", "elasticsearch")), "for_s": for_s, "hides_s": 0.25}),
            (1, "wipe", {"service": random.choice(("milvus", "elasticsearch")), "for_s": for_s}),
            (1, "wipe_cache", {}),
            (
                2,
                "clock",
                {
                    "host": random.choice(("kafka", "stages", *REPLICAS)),
                    "ms": random.choice((-3_600_000, -5_000, 4_000, 60_000)),
                },
            ),
            (2, "broker_away", {"for_s": min(for_s, 4.0)}),
            (3, "compact", {}),
            (
                1,
                "rewind",
                {"group": random.choice(("prepare", "embed", "index-vectors", "index-keywords", "status"))},
            ),
            (3, "mishaps", {"chance": random.choice((0.02, 0.1, 0.3)), "for_s": for_s}),
            (2, "lose_disk", {"worker": random.choice(("admit-0", "admit-1", "heads-east", "heads-west"))}),
        ]
        _, do, what = random.choices(choices, weights=[weight for weight, *_ in choices])[0]
        return Step(at_s=at_s, do=do, what=what)
