"""The faults, by name. Each strikes the scene once and returns when what it broke has been mended by whoever must."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from random import Random
from typing import Final

from redis.asyncio import Redis

from headwater.clients.elasticsearch.connection import open_client as open_elasticsearch
from headwater.clients.elasticsearch.names import chunks_name
from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.config import group_of
from headwater.clients.milvus.collection import collection_name
from headwater.clients.milvus.connection import open_client as open_milvus
from headwater.demo.stage import wait_until
from headwater.local.stack import COMPONENTS
from headwater.migrations.collections import drop_collection
from headwater.migrations.indices import drop_index
from headwater.settings import Settings
from schemas.events.base import Store
from tests.chaos.scene import Scene

Strike = Callable[[Scene], None]
STAGES: Final = ("heads", "admit", "prepare", "embed", "index-vectors", "index-keywords", "status", "sweep")
VICTIMS: Final = (*COMPONENTS, "query-api", *STAGES)
FROZEN: Final = ("elasticsearch", "milvus", "triton")  # the others answer without any of these
AWAY: Final = ("elasticsearch", "milvus")
CUT_OFF: Final = ("kafka", "elasticsearch", "triton")
SLOWED: Final = "triton"
TOGETHER: Final = "+"  # between the names of what is killed at the same moment
PAIRS: Final = 3
ANSWERS: Final = 10
WORKERS: Final = 3
SCALED: Final = "embed"
# Replicas of this platform follow within milliseconds: the command need not wait out their whole budget.
QUICK: Final = {"HEADWATER_HEADS__STALENESS_BUDGET_S": "1"}
POLITE_S: Final = 30.0  # for a worker that is asked to end


def do_nothing(scene: Scene) -> None:
    """Let edits and questions go on: what the others are compared with."""


def kill(*names: str) -> Strike:
    """Kill processes at once and wait until they are back."""
    return lambda scene: scene.infrastructure.kill(names)


def freeze(name: str) -> Strike:
    """Let a process hang until questions have been answered without it."""

    def strike(scene: Scene) -> None:
        with scene.infrastructure.frozen(name):
            scene.prober.go_on(answers=ANSWERS, patience_s=scene.patience_s)

    return strike


def slow_down(name: str) -> Strike:
    """Let a process have a tenth of its time until questions have been answered with it."""

    def strike(scene: Scene) -> None:
        with scene.infrastructure.slowed(name):
            scene.prober.go_on(answers=ANSWERS, patience_s=scene.patience_s)

    return strike


def cut_off(name: str) -> Strike:
    """Cut the product's connections to a component until questions have been asked without it.

    A replica without the log refuses before long: on a slow machine it would never give so many answers.
    """

    def strike(scene: Scene) -> None:
        with scene.infrastructure.cut(name):
            scene.prober.ask_on(questions=ANSWERS, patience_s=scene.patience_s)

    return strike


def take_away(name: str) -> Strike:
    """Stop a process for as long as the run says."""

    def strike(scene: Scene) -> None:
        with scene.infrastructure.away(name):
            back_s = time.monotonic() + scene.away_s
            wait_until("the store's absence to end", lambda: time.monotonic() > back_s, patience_s=2 * scene.away_s)

    return strike


def fill_up(scene: Scene) -> None:
    """Let the blob store have no room left until it has refused something and questions have been answered."""
    bucket = scene.bucket
    if bucket is None:
        raise ValueError("contents lie in a folder: only a bucket can be filled up")
    refused = bucket.refused
    bucket.full = True
    try:
        wait_until("the bucket to refuse something", lambda: bucket.refused > refused, patience_s=scene.patience_s)
        scene.prober.go_on(answers=ANSWERS, patience_s=scene.patience_s)
    finally:
        bucket.full = False


def flush_redis(scene: Scene) -> None:
    """Forget everything that this product has cached. Others' keys stay: the component may be shared."""

    async def flush() -> None:
        redis = scene.platform.settings.redis
        async with Redis.from_url(redis.url.get_secret_value()) as client:
            async for key in client.scan_iter(match=f"{redis.key_prefix}*", count=1000):
                await client.unlink(key)

    asyncio.run(flush())


def lose(store: Store) -> Strike:
    """Drop a store's rows behind everybody's back, and rebuild them as an operator would."""

    def strike(scene: Scene) -> None:
        asyncio.run(_drop(scene.platform.settings, store))
        _carry_out(scene, "rebuild", store.value)

    return strike


def wipe_milvus(scene: Scene) -> None:
    """Remove all that Milvus has on its disk, with what it knows of its collections; mend it as an operator would."""
    scene.infrastructure.wipe("milvus")
    _carry_out(scene, "migrate", "apply")
    _carry_out(scene, "rebuild", Store.VECTORS.value)


def burst_of_poison(scene: Scene) -> None:
    """Let one tenant submit nothing but broken files; return when each has been parked."""
    tenant = scene.poisoner.tenant
    before = scene.witness.parked[tenant]
    scene.poisoner.submit(before, scene.burst)
    wait_until(
        "every broken file to be parked",
        lambda: scene.witness.parked[tenant] >= before + scene.burst,
        patience_s=scene.patience_s,
    )


def scale_up_and_down(scene: Scene) -> None:
    """Run two more workers of a stage, and let them go again."""
    with ExitStack() as more:
        workers = [
            more.enter_context(scene.platform.child("-m", "streams", SCALED, log=f"{SCALED}-{number}"))
            for number in range(2, WORKERS + 1)
        ]
        wait_until("the workers to share the work", lambda: asyncio.run(_members(scene.platform.settings)) == WORKERS)
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait(POLITE_S)


def _carry_out(scene: Scene, *command: str) -> None:
    status = scene.command(*command, **QUICK)
    if status != 0:
        raise AssertionError(f"`headwater {' '.join(command)}` ended with {status}: see its log")


async def _members(settings: Settings) -> int:
    return await KafkaAdmin(settings.kafka).members(group_of(settings, SCALED, generation=settings.generation))


async def _drop(settings: Settings, store: Store) -> None:
    generation = settings.generation
    if store is Store.KEYWORDS:
        async with open_elasticsearch(settings.elasticsearch) as client:
            name = chunks_name(settings.elasticsearch, generation)
            await drop_index(client, name, settings=settings.elasticsearch)
    else:
        async with open_milvus(settings.milvus) as vectors:
            await drop_collection(vectors, collection_name(settings.milvus, generation), settings=settings.milvus)


# What strikes one product alone, so that others may use the same components.
OF_THE_PRODUCT: Final[Mapping[str, Strike]] = {
    "nothing": do_nothing,
    "query-api": kill("query-api"),
    **{name: kill(name) for name in STAGES},
    "redis-flushed": flush_redis,
    "keywords-lost": lose(Store.KEYWORDS),
    "vectors-lost": lose(Store.VECTORS),
    "poison": burst_of_poison,
    "workers": scale_up_and_down,
}
OF_THE_COMPONENTS: Final[Mapping[str, Strike]] = {
    **{name: kill(name) for name in COMPONENTS},
    "kafka+elasticsearch": kill("kafka", "elasticsearch"),  # it once found what no other pair has
    **{f"{name}-frozen": freeze(name) for name in FROZEN},
    f"{SLOWED}-slow": slow_down(SLOWED),
    **{f"{name}-away": take_away(name) for name in AWAY},
    "milvus-wiped": wipe_milvus,
    "blobs-full": fill_up,
}

# What strikes neither, so that a product behind proxies may use components that others use: they notice nothing.
OF_THE_CONNECTIONS: Final[Mapping[str, Strike]] = {f"{name}-cut": cut_off(name) for name in CUT_OFF}
# What `make test` has time for, where Milvus and Redis are the product's own.
SHORT: Final = ("milvus", "redis", "kafka-cut", "elasticsearch-cut", "triton-cut")


def chosen(names: str, *, seed: int) -> tuple[str, ...]:
    """Read HEADWATER_CHAOS_FAULTS: names between commas, `pairs` for random ones, or `all`.

    A pair is called by what is killed together, `kafka+embed`; the seed chooses the random ones. Raises ValueError for
    a name that there is not.
    """
    random = Random(seed)
    pairs = tuple(TOGETHER.join(random.sample(VICTIMS, 2)) for _ in range(PAIRS))
    if names == "all":
        return (*OF_THE_PRODUCT, *OF_THE_COMPONENTS, *pairs)
    wanted = [name for name in names.split(",") if name]
    found = tuple(each for name in wanted for each in (pairs if name == "pairs" else (name,)))
    for name in found:
        strike_of(name)
    return found


def strike_of(name: str) -> Strike:
    """Return what a name stands for. Raises ValueError for one that there is not."""
    named = OF_THE_PRODUCT.get(name) or OF_THE_COMPONENTS.get(name) or OF_THE_CONNECTIONS.get(name)
    if named is not None:
        return named
    together = name.split(TOGETHER)
    if len(together) > 1 and set(together) <= set(VICTIMS):
        return kill(*together)
    known = ", ".join((*OF_THE_PRODUCT, *OF_THE_COMPONENTS))
    raise ValueError(f"HEADWATER_CHAOS_FAULTS names {name!r}: choose from {known}, A+B of what can be killed, `all`")


def strike_components(names: Sequence[str]) -> bool:
    """Say whether any of these strikes what others may share."""
    return any(name in OF_THE_COMPONENTS or not COMPONENTS.keys().isdisjoint(name.split(TOGETHER)) for name in names)
