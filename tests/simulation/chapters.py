"""What is told in some stories only, each from random numbers of its own: the other stories stay what they are."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from random import Random

from schemas.topics import Topic
from tests.simulation.steps import ACCESS, DOCUMENTS, REPLICAS, SPAN_S, USERS, Step


def quarantine(random: Random) -> Iterator[Step]:
    """A source that may delete nothing unasked, an administrator who approves, early or late, and sick admission."""
    rival = DOCUMENTS - 1
    yield Step(at_s=0.2, do="budget", what={"document": rival, "per_day": 0})
    for number in range(random.randint(4, 7)):
        at_s = random.uniform(2.0, SPAN_S * 0.8)
        put = {"document": rival, "draft": 100 + number, "paragraphs": 2, "access": "everyone", "version": None}
        yield Step(at_s=round(at_s, 3), do="put", what=put | {"lane": "live"})
        yield Step(at_s=round(at_s + 0.1, 3), do="delete", what={"document": rival})
        if random.random() < 0.6:
            worker = random.choice(("admit-0", "admit-1"))
            yield Step(at_s=round(at_s + random.uniform(0.1, 1.0), 3), do="kill", what={"worker": worker})
        after_s = random.choice((0.15, 1.5, 8.0)) * random.uniform(0.7, 1.5)
        if random.random() < 0.5:
            yield Step(at_s=round(at_s + after_s, 3), do="approve", what={"document": rival})
        elif random.random() < 0.5:
            yield Step(at_s=round(at_s + after_s, 3), do="put", what=put | {"lane": "live"})


def generations(random: Random) -> Iterator[Step]:
    """A generation that cuts texts otherwise: built beside the first one, switched to, perhaps rolled back from."""
    made_s = random.uniform(2.0, 12.0)
    yield _command(made_s, command="create", name="g2", finer=True)
    late, held_s = random.choice(("prepare", "embed", "index-vectors", "index-keywords")), random.uniform(2.0, 18.0)
    yield Step(at_s=round(made_s, 3), do="hold", what={"stage": f"{late}-g2", "for_s": round(held_s, 2)})
    at_s = made_s + random.choice((0.5, 4.0, 10.0)) * random.uniform(0.5, 1.5)
    yield _command(at_s, command="switch", name="g2")
    yield from _slow_to_know(random, max(at_s, made_s + held_s) + random.uniform(0.0, 2.0))
    switches = [at_s]
    for command in ("roll_back", "switch"):
        if random.random() < 0.5:
            break
        at_s += random.uniform(1.0, 9.0)
        yield _command(at_s, command=command, name="g2")
        switches.append(at_s)
    for _ in range(random.randint(2, 5)):
        yield _against_builders(random, random.uniform(made_s, at_s + 5.0))
    for switch_s in switches:
        for _ in range(8):
            yield _ask(random, random.uniform(switch_s, switch_s + 9.0))


def _slow_to_know(random: Random, at_s: float) -> Iterator[Step]:
    """The replica that the operator does not look at gets reports late while the new generation gets ready."""
    for_s = random.uniform(3.0, 8.0)
    slow = {"replica": REPLICAS[1], "topic": Topic.DOCUMENTS_PROGRESSED.value, "for_s": round(for_s, 2)}
    yield Step(at_s=round(at_s, 3), do="withhold", what=slow)
    for _ in range(12):
        asked = _ask(random, at_s + random.uniform(0.0, for_s))
        yield replace(asked, what=asked.what | {"replica": REPLICAS[1]})


def retention(random: Random) -> Iterator[Step]:
    """A stage is away for longer than its topics keep what it has not read; perhaps one of the next generation, too."""
    stage = random.choice(("prepare", "embed", "index-vectors", "index-vectors", "index-keywords"))
    at_s = random.uniform(3.0, 14.0)
    yield from _away_too_long(random, stage, at_s)
    if random.random() < 0.4:
        stage = random.choice(("embed", "index-vectors", "index-keywords"))
        yield from _away_too_long(random, f"{stage}-g2", at_s + random.uniform(10.0, 16.0))
    for _ in range(16):
        yield _ask(random, random.uniform(at_s, SPAN_S + 2.0))


def unread(random: Random) -> Iterator[Step]:
    """Admission is away, or frozen and then goes on, for longer than submissions are kept."""
    at_s = random.uniform(3.0, 20.0)
    for_s = random.uniform(4.0, 10.0)
    if random.random() < 0.5:
        yield Step(at_s=round(at_s, 3), do="hold", what={"stage": "admit", "for_s": round(for_s, 2)})
    else:
        for slot in range(2):
            frozen = {"worker": f"admit-{slot}", "for_s": round(for_s, 2), "replace": False}
            yield Step(at_s=round(at_s, 3), do="freeze", what=frozen)
    for lane in ("live", "live", "backfill", "backfill"):
        yield from _puts(random, at_s, lane, count=2)
    expired = {"min_age_s": round(random.choice((0.0, 1.5)), 1)}
    yield Step(at_s=round(at_s + for_s - 0.3, 3), do="expire_unread", what=expired)
    yield from _puts(random, at_s + for_s, "live", count=2)


def lost_replica(random: Random) -> Iterator[Step]:
    """A replica loses its folder while callers wait, at slow stores, for what they have just written."""
    replica, at_s = random.choice(REPLICAS), random.uniform(4.0, 20.0)
    for store in ("milvus", "elasticsearch"):
        yield Step(at_s=round(at_s, 3), do="slow", what={"service": store, "for_s": 4.0})
    for put in _puts(random, at_s - 1.0, "live", count=3):
        yield put
        for _ in range(5):
            asked = _ask(random, put.at_s + random.uniform(0.3, 1.5))
            what = asked.what | {"replica": replica, "document": put.what["document"], "after": True}
            yield replace(asked, what=what)
    yield Step(at_s=round(at_s + random.uniform(1.0, 2.0), 3), do="lose_disk", what={"worker": f"heads-{replica}"})


def volumes(random: Random) -> Iterator[Step]:
    """Documents of many pages, read range by range while workers die and editors go on; and some with sections."""
    for number in range(random.randint(5, 7)):
        at_s, document = random.uniform(1.5, SPAN_S * 0.8), random.randrange(DOCUMENTS - 1)
        yield _volume(random, at_s, document, draft=300 + number)
        for _ in range(random.randint(1, 3)):
            yield _against_readers(random, at_s + random.uniform(0.05, 0.6))
        if random.random() < 0.4:
            yield _volume(random, at_s + random.uniform(0.1, 0.5), document, draft=320 + number)
        if random.random() < 0.3:
            yield Step(at_s=round(at_s + random.uniform(0.1, 0.5), 3), do="wipe_cache")
        for _ in range(3):
            asked = _ask(random, at_s + random.uniform(0.3, 9.0))
            yield replace(asked, what=asked.what | {"document": document})


def _volume(random: Random, at_s: float, document: int, *, draft: int) -> Step:
    """Of few pages, of more than the other lane takes, or larger than it takes; or a manual, which has no pages."""
    form, parts = random.choice(
        (("volume", 3), ("volume", 9), ("volume", 16), ("volume", 24), ("volume", 31), ("manual", 5))
    )
    what = {
        "document": document,
        "draft": draft,
        "paragraphs": parts,
        "form": form,
        "access": random.choice(ACCESS),
        "version": None,
        "lane": random.choice(("live", "backfill")),
    }
    return Step(at_s=round(at_s, 3), do="put", what=what)


def _against_readers(random: Random, at_s: float) -> Step:
    worker, calls = f"prepare-{random.randrange(2)}", random.randint(1, 24)
    do, more = random.choice(
        (
            ("kill", {}),
            ("kill_soon", {"calls": calls}),
            ("kill_soon", {"calls": calls}),
            ("freeze_soon", {"calls": calls, "for_s": round(random.uniform(1.0, 12.0), 2)}),
        )
    )
    return Step(at_s=round(at_s, 3), do=do, what={"worker": worker, **more})


def _away_too_long(random: Random, stage: str, at_s: float) -> Iterator[Step]:
    for_s = random.uniform(5.0, 10.0)
    yield Step(at_s=round(at_s, 3), do="hold", what={"stage": stage, "for_s": round(for_s, 2)})
    yield from _puts(random, at_s, "live", count=3)
    yield Step(at_s=round(at_s + for_s - 0.2, 3), do="expire", what={"min_age_s": 1.5})


def _puts(random: Random, at_s: float, lane: str, *, count: int) -> Iterator[Step]:
    for number in range(count):
        what = {
            "document": random.randrange(DOCUMENTS),
            "draft": 200 + number,
            "paragraphs": random.choice((1, 3, 12)),
            "access": random.choice(ACCESS),
            "version": None,
            "lane": lane,
        }
        yield Step(at_s=round(at_s + random.uniform(0.1, 2.0), 3), do="put", what=what)


def _against_builders(random: Random, at_s: float) -> Step:
    """Something befalls a worker of the new generation, the operator, or a replica, which learns of the switch late."""
    stages = ("prepare", "embed", "index-vectors", "index-keywords", "sweep")
    worker = random.choice((*(f"{stage}-g2-0" for stage in stages), "operator-0", "operator-0"))
    for_s = round(random.choice((1.0, 3.0, 9.0)) * random.uniform(0.5, 1.5), 2)
    do, what = random.choice(
        (
            ("kill", {"worker": worker}),
            ("kill_soon", {"worker": worker, "calls": random.randint(1, 12)}),
            ("freeze", {"worker": worker, "for_s": for_s, "replace": random.random() < 0.5}),
            ("cut_off", {"worker": random.choice((worker, *(f"heads-{name}" for name in REPLICAS))), "for_s": for_s}),
        )
    )
    return Step(at_s=round(at_s, 3), do=do, what=what)


def _command(at_s: float, **what: object) -> Step:
    return Step(at_s=round(at_s, 3), do="generation", what=what)


def _ask(random: Random, at_s: float) -> Step:
    what = {
        "replica": random.choice(REPLICAS),
        "user": random.choice(USERS),
        "document": random.randrange(DOCUMENTS),
        "mode": random.choice(("hybrid", "vector", "keyword")),
        "after": False,
    }
    return Step(at_s=round(at_s, 3), do="ask", what=what)


# Of so many stories, which one has the chapter. Told apart so that a story has one at the most, but for `quarantine`.
CHAPTERS: Sequence[tuple[Callable[[Random], Iterator[Step]], int, int]] = (
    (quarantine, 4, 3),
    (generations, 10, 9),
    (retention, 20, 13),
    (unread, 20, 5),
    (lost_replica, 20, 16),
    (volumes, 20, 18),
)
