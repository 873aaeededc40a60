"""The faults, by name. Each strikes the scene once and returns when what it broke has been mended by whoever must."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Final

from redis.asyncio import Redis

from headwater.clients.elasticsearch.connection import open_client as open_elasticsearch
from headwater.clients.elasticsearch.names import chunks_name
from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.config import group_of
from headwater.clients.milvus.collection import collection_name
from headwater.clients.milvus.connection import open_client as open_milvus
from headwater.demo.stage import wait_until
from headwater.migrations.collections import drop_collection
from headwater.migrations.indices import drop_index
from headwater.settings import Settings
from schemas.events.base import Store
from tests.chaos.scene import Scene
from tests.support.infrastructure import API

Strike = Callable[[Scene], None]
VICTIMS: Final = ("kafka", "elasticsearch", "milvus", "redis", "triton", API)
FROZEN: Final = ("elasticsearch", "milvus", "triton")  # the others answer without any of these
ANSWERS: Final = 10
PAIRS: Final = 3
WORKERS: Final = 3
SCALED: Final = "embed"
# Replicas of this platform follow within milliseconds: the command need not wait out their whole budget.
QUICK: Final = {"HEADWATER_HEADS__STALENESS_BUDGET_S": "1"}
POLITE_S: Final = 30.0  # for a worker that is asked to end


def kill(*names: str) -> Strike:
    """Kill processes at once and wait until they are back."""
    return lambda scene: scene.infrastructure.kill(names)


def kill_a_random_pair(scene: Scene) -> None:
    """Kill two at once, chosen by the seed."""
    scene.infrastructure.kill(scene.random.sample(VICTIMS, 2))


def freeze(name: str) -> Strike:
    """Let a process hang until questions have been answered without it."""

    def strike(scene: Scene) -> None:
        with scene.infrastructure.frozen(name):
            scene.prober.go_on(answers=ANSWERS, patience_s=scene.patience_s)

    return strike


def flush_redis(scene: Scene) -> None:
    """Forget everything that is cached."""

    async def flush() -> None:
        async with Redis.from_url(scene.platform.settings.redis.url.get_secret_value()) as client:
            await client.flushall()

    asyncio.run(flush())


def lose(store: Store) -> Strike:
    """Drop a store's rows behind everybody's back, and rebuild them as an operator would."""

    def strike(scene: Scene) -> None:
        asyncio.run(_drop(scene.platform.settings, store))
        status = scene.command("rebuild", store.value, **QUICK)
        if status != 0:
            raise AssertionError(f"`headwater rebuild {store}` ended with {status}: see its log")

    return strike


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


def do_nothing(scene: Scene) -> None:
    """Let edits and questions go on: what the others are compared with."""


FAULTS: Final[Mapping[str, Strike]] = {
    "nothing": do_nothing,
    **{name: kill(name) for name in VICTIMS},
    **{f"pair-{number}": kill_a_random_pair for number in range(1, PAIRS + 1)},
    **{f"{name}-frozen": freeze(name) for name in FROZEN},
    "redis-flushed": flush_redis,
    "keywords-lost": lose(Store.KEYWORDS),
    "vectors-lost": lose(Store.VECTORS),
    "poison": burst_of_poison,
    "workers": scale_up_and_down,
}
SHORT: Final = ("milvus", "redis-flushed")  # for `make test`


def chosen(names: str) -> tuple[str, ...]:
    """Read HEADWATER_CHAOS_FAULTS: names between commas, or `all`; nothing is the short selection."""
    if names == "all":
        return tuple(FAULTS)
    wanted = tuple(name for name in names.split(",") if name) or SHORT
    if unknown := [name for name in wanted if name not in FAULTS]:
        raise ValueError(f"HEADWATER_CHAOS_FAULTS names {unknown}: choose from {', '.join(FAULTS)}, or `all`")
    return wanted
