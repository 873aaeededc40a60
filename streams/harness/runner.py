"""Runs one stage in one process, from settings to exit code."""

import asyncio
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass

import structlog

from headwater import event_loop
from headwater.errors import FatalError
from headwater.retry import RetryPolicy
from headwater.settings import Settings
from headwater.telemetry.management import Health, ManagementServer
from headwater.telemetry.metrics import OLDEST_EVENT_SECONDS
from streams.harness.app import StageApp, build_app, register_agent
from streams.harness.attempts import AttemptJournal
from streams.harness.breaker import Breaker, BreakerPolicy
from streams.harness.dispatcher import Dispatcher
from streams.harness.publishing import KafkaPublisher
from streams.harness.settle import Settler
from streams.harness.stage import Resources, Stage, StageSpec
from streams.harness.watchdog import Watchdog

log = structlog.get_logger(__name__)

# A rebalance waits for the work in hand, but not longer than this: below the session timeout, so that the others go on.
_REBALANCE_GRACE_S = 8.0
# Of the grace period, what is left for the last commit and for leaving the group.
_LEAVING_S = 8.0


@dataclass(slots=True, kw_only=True)
class Keeper:
    """What the consumer tells the harness, passed on."""

    health: Health
    ended: asyncio.Future[None]  # its exception is why the stage ends
    dispatcher: Dispatcher | None = None
    rebalancing: bool = False

    async def release(self) -> None:
        self.rebalancing = True
        self.health.unready("partitions", "rebalancing")
        if self.dispatcher is not None:
            await self.dispatcher.release(within_s=_REBALANCE_GRACE_S)

    def resume(self) -> None:
        self.rebalancing = False
        self.health.ready("partitions")
        if self.dispatcher is not None and not self.ended.done():
            self.dispatcher.resume()

    def fail(self, error: BaseException) -> None:
        if not self.ended.done():
            self.ended.set_exception(error)
            self.ended.exception()  # a stage that is ending anyway awaits it no more: no line about that in its log


async def run_stage(spec: StageSpec, settings: Settings) -> None:
    """Run until SIGTERM or SIGINT, then stop within the grace period. Raises FatalError when no event can succeed."""
    async with AsyncExitStack() as stack:
        health = Health()
        health.ready("work")
        health.unready("partitions", "not assigned yet")
        server = stack.enter_context(ManagementServer(settings.management, health))
        publisher = await stack.enter_async_context(KafkaPublisher.open(settings, client_id=spec.group(settings)))
        resources = Resources(settings=settings, publisher=publisher, health=health)
        stage = await stack.enter_async_context(spec.open(resources))
        folder = settings.stages.datadir / spec.group(settings)
        journal = AttemptJournal.open(folder / "attempts")
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        keeper = Keeper(health=health, ended=ended)
        dispatcher, watchdog = assemble(spec, resources, stage, journal, keeper)
        stack.enter_context(watchdog)
        app = build_app(spec, settings, keeper=keeper, datadir=folder)
        register_agent(app, spec, settings, dispatcher)
        pulse = asyncio.create_task(_pulse(spec.name, health, watchdog, dispatcher))
        log.info("stage_started", stage=spec.name, generation=settings.generation, port=server.port)
        try:
            await _until_ended(app, keeper)
        finally:
            await _leave(app, dispatcher, grace_s=settings.stages.grace_s)
            pulse.cancel()
        log.info("stage_stopped", stage=spec.name)


def assemble(
    spec: StageSpec,
    resources: Resources,
    stage: Stage,
    journal: AttemptJournal,
    keeper: Keeper,
) -> tuple[Dispatcher, Watchdog]:
    settings = resources.settings
    # A rebalance that does not end is a stall as well: without it nothing is delivered, and nobody would notice.
    watchdog = Watchdog(
        limit_s=settings.stages.watchdog_s,
        is_busy=lambda: dispatcher.busy or keeper.rebalancing,
        progress=resources.progress,
    )
    settler = Settler(
        name=spec.name,
        stage=stage,
        publisher=resources.publisher,
        journal=journal,
        breaker=Breaker(BreakerPolicy()),
        health=keeper.health,
        retry=RetryPolicy(attempts=1_000, first_delay_s=0.1, max_delay_s=5.0, budget_s=settings.stages.retry_budget_s),
        generation=settings.generation,
        keyed=spec.keyed,
        released=lambda: dispatcher.released,
        progressed=watchdog.progressed,
    )
    dispatcher = Dispatcher(
        settler.settle,
        limits=spec.limits(settings),
        is_suspect=lambda delivery: journal.is_suspect(delivery.work),
        on_fatal=keeper.fail,
        stage=spec.name,
    )
    keeper.dispatcher = dispatcher
    return dispatcher, watchdog


async def _until_ended(app: StageApp, keeper: Keeper) -> None:
    """Start the app and return on a signal. Raises what made the stage end otherwise."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, keeper.ended, number)
    starting = asyncio.create_task(app.start())
    crashed = asyncio.create_task(app.wait_until_stopped())
    try:
        await asyncio.wait({keeper.ended, crashed}, return_when=asyncio.FIRST_COMPLETED)
        if keeper.ended.done():
            keeper.ended.result()
            return
        raise FatalError(f"the consumer stopped: {app.crash_reason!r}; the supervisor starts another worker")
    finally:
        for task in (starting, crashed):
            task.cancel()
        await asyncio.gather(starting, crashed, return_exceptions=True)


def _stop(ended: asyncio.Future[None], number: signal.Signals) -> None:
    log.info("stop_requested", signal=number.name)
    if not ended.done():
        ended.set_result(None)


async def _leave(app: StageApp, dispatcher: Dispatcher, *, grace_s: float) -> None:
    """Finish what is in hand, commit and leave the group: the sum stays below the grace period."""
    await dispatcher.release(within_s=max(grace_s - _LEAVING_S, 1.0))
    try:
        async with asyncio.timeout(_LEAVING_S - 1.0):
            await app.stop()
    except TimeoutError:
        log.warning("stop_took_too_long", budget_s=grace_s)


async def _pulse(stage: str, health: Health, watchdog: Watchdog, dispatcher: Dispatcher) -> None:
    """Show once a second that the loop runs."""
    loop, oldest = asyncio.get_running_loop(), OLDEST_EVENT_SECONDS.labels(stage=stage)
    while True:
        health.beat()
        watchdog.tick()
        received_s = dispatcher.oldest_received_s()
        oldest.set(0.0 if received_s is None else loop.time() - received_s)
        await asyncio.sleep(1.0)


def run(spec: StageSpec, settings: Settings) -> int:
    """Run a stage and return the exit code; a fatal error becomes one sentence on stderr."""
    try:
        event_loop.run(run_stage(spec, settings))
    except FatalError as error:
        log.error("stage_failed", stage=spec.name, error=type(error).__name__)  # noqa: TRY400 - the sentence below says it all
        sys.stderr.write(f"{spec.name}: {error}\n")
        return 1
    return 0
