"""Readiness: which dependency answers. The API serves without a cache, a model or one of the stores, and says so."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Final, TypeAlias

from headwater.errors import HeadwaterError
from headwater.telemetry.management import Health
from headwater.telemetry.metrics import HEADS_STALENESS_SECONDS
from query_api.runtime import Runtime
from schemas.ids import SYSTEM_TENANT, DocumentId, GenerationName, Revision

Probe: TypeAlias = Callable[[], Awaitable[object]]

EVERY_S: Final = 2.0
TIMEOUT_S: Final = 5.0
_NO_DOCUMENT: Final = DocumentId("0" * 32)


async def watch(runtime: Runtime, health: Health, *, broker: Probe) -> None:
    """Keep `health` up to date for as long as the process runs; also the heartbeat of its loop.

    Not ready: the log, the broker, or both stores. One store away degrades answers; taking every replica out of
    service for it would make an outage of that.
    """
    while True:
        health.beat()
        _report(health, "log", _staleness(runtime))
        reasons = await _ask({"kafka": broker, **_stores(runtime)})
        _report(health, "kafka", reasons["kafka"])
        both_away = reasons["vectors"] is not None and reasons["keywords"] is not None
        _report(health, "stores", f"{reasons['vectors']}; {reasons['keywords']}" if both_away else None)
        await asyncio.sleep(EVERY_S)


def _stores(runtime: Runtime) -> Mapping[str, Probe]:
    async def vectors() -> object:
        stores = await runtime.generations.stores(_generation())
        return await stores.vectors.count(SYSTEM_TENANT, _NO_DOCUMENT, Revision(0))

    async def keywords() -> object:
        stores = await runtime.generations.stores(_generation())
        return await stores.keywords.count(SYSTEM_TENANT, _NO_DOCUMENT, Revision(0))

    def _generation() -> GenerationName:
        return runtime.directory.serving_generation() or runtime.settings.generation

    return {"vectors": vectors, "keywords": keywords}


async def _ask(probes: Mapping[str, Probe]) -> Mapping[str, str | None]:
    return dict(zip(probes, await asyncio.gather(*map(_reason, probes.values())), strict=True))


async def _reason(probe: Probe) -> str | None:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await probe()
    except HeadwaterError as error:
        return str(error)
    except TimeoutError:
        return f"no answer within {TIMEOUT_S:g} s"
    return None


def _staleness(runtime: Runtime) -> str | None:
    age = runtime.now() - runtime.heads.as_of()
    HEADS_STALENESS_SECONDS.set(age.total_seconds())
    if age <= timedelta(seconds=runtime.settings.heads.staleness_budget_s):
        return None
    return "this replica is behind the log; is `python -m headwater.heads` running?"


def _report(health: Health, dependency: str, reason: str | None) -> None:
    if reason is None:
        health.ready(dependency)
    else:
        health.unready(dependency, reason)
