"""The embedded stack: described by settings, recorded in its state folder, run by its own supervisor."""

import asyncio
import os
import shutil
from dataclasses import dataclass, replace
from typing import Self

from headwater.errors import FatalError
from headwater.local import applications
from headwater.local.components import elasticsearch, kafka, milvus, redis, triton
from headwater.local.environment import environment_of
from headwater.local.installation import locate
from headwater.local.places import Places, places_of, service_root
from headwater.local.ports import fixed_ports, free_ports, in_use, port_conflicts
from headwater.local.process import Process, Tier
from headwater.local.record import StackRecord, new_stack_id, read_record, with_ports, write_record
from headwater.local.site import Site
from headwater.local.starting import Report, Starter, stop_all
from headwater.local.supervisor import Supervisor, launch, render
from headwater.settings import Settings

COMPONENTS = {"kafka": kafka, "elasticsearch": elasticsearch, "milvus": milvus, "redis": redis, "triton": triton}
_POLL_S = 0.1
_SHUT_DOWN_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalStack:
    """One stack. Two with different state folders and free ports live side by side."""

    settings: Settings
    places: Places

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(settings=settings, places=places_of(settings.local))

    def supervisor(self) -> Supervisor | None:
        """The running supervisor, or None."""
        supervisor = Supervisor(self.places.socket)
        return supervisor if supervisor.answers() else None

    def processes(self) -> tuple[Process, ...]:
        """All of the table, infrastructure first. Raises FatalError when something is not installed."""
        return process_table(self._site())

    def environment(self) -> dict[str, str]:
        """HEADWATER_* of every process of this stack, and of any other that is to use it."""
        return dict(environment_of(self._site(), self.settings))

    def running_settings(self) -> Settings:
        """The same settings, pointing at this stack's addresses and folders."""
        groups: dict[str, dict[str, str]] = {}
        for name, value in self.environment().items():
            group, _, field = name.removeprefix("HEADWATER_").lower().partition("__")
            groups.setdefault(group, {})[field] = value
        given = self.settings.model_dump(exclude_unset=True)
        merged = {**given, **{group: {**given.get(group, {}), **fields} for group, fields in groups.items()}}
        return Settings.model_validate(merged)

    async def up(self, report: Report, *, names: frozenset[str] | None = None) -> None:
        """Start what is not running, each when what it needs is ready; return when all is ready.

        `names` limits the processes; tasks (topics, migrations) run whenever an application is among them.
        Raises FatalError with one sentence that says what to do. What has started stays up, for its logs to be read.
        """
        supervisor = self.supervisor()
        if supervisor is None:
            self._choose_ports()
        site = self._site()
        table = process_table(site)
        chosen = [process for process in table if names is None or process.name in names]
        configuration = render(table, places=self.places)
        environment = {**os.environ, **environment_of(site, self.settings)}
        if supervisor is None:
            supervisor = launch(self.places, configuration, environment=environment)
        elif self.places.configuration.read_text() != configuration:
            raise FatalError("the configuration has changed since this stack started: `headwater down`, then up again")
        starter = Starter(
            supervisor=supervisor,
            places=self.places,
            environment=environment,
            prepare=lambda process: _prepare(process, site),
            report=report,
        )
        generation = None if site.first else site.fed[0]
        tasks = (
            applications.tasks(generation=generation)
            if any(process.tier is Tier.APPLICATION for process in chosen)
            else ()
        )
        await starter.run(chosen, tasks)

    async def down(self, report: Report) -> bool:
        """Stop all processes, applications before what they need. False when nothing was running."""
        supervisor = self.supervisor()
        if supervisor is None:
            return False
        running = supervisor.states().keys()
        await stop_all(supervisor, sorted(running - COMPONENTS.keys()), report)
        await stop_all(supervisor, sorted(running & COMPONENTS.keys()), report)
        supervisor.shut_down()
        await self._gone(supervisor)
        return True

    def reconfigure(self, supervisor: Supervisor) -> None:
        """Let the running supervisor know the processes that the record names by now."""
        self.places.configuration.write_text(render(process_table(self._site()), places=self.places))
        supervisor.reload()

    def purge(self) -> None:
        """Remove all data of a stack that is down: logs, stores, blobs, keys. Models and downloads stay."""
        if self.supervisor() is not None:
            raise FatalError("the stack runs: stop it with `headwater down` before its data are removed")
        record = read_record(self.places)
        if record is not None:
            shutil.rmtree(service_root(record.stack_id), ignore_errors=True)
        for name in ("data", "run", "logs", "blobs", "heads", "workers"):
            shutil.rmtree(self.places.state / name, ignore_errors=True)
        for name in ("stack.json", "bootstrap.key", "api.secret", "canary.keys"):
            (self.places.state / name).unlink(missing_ok=True)

    async def _gone(self, supervisor: Supervisor) -> None:
        try:
            async with asyncio.timeout(_SHUT_DOWN_TIMEOUT_S):
                while supervisor.answers():  # noqa: ASYNC110 - another process: it has no event to wait for
                    await asyncio.sleep(_POLL_S)
        except TimeoutError as error:
            raise FatalError(f"the supervisor did not end: see {self.places.logs / 'supervisord.log'}") from error

    def _site(self) -> Site:
        record = read_record(self.places) or StackRecord(stack_id="none", ports=fixed_ports(self.settings))
        return Site(
            places=self.places,
            installation=locate(self.places),
            ports=record.ports,
            stack_id=record.stack_id,
            first=record.first,
            fed=record.fed,
        )

    def _choose_ports(self) -> None:
        """Settle the ports of a stack that is down: the settings' or free ones (the last time's if they still are)."""
        record = read_record(self.places)
        if self.settings.local.ports == "fixed":
            if conflicts := port_conflicts(self.settings):
                raise FatalError("; ".join(conflicts))
            ports = fixed_ports(self.settings)
        else:
            reusable = record is not None and not any(map(in_use, record.ports.values()))
            ports = record.ports if record and reusable else free_ports()
        known = record or StackRecord(stack_id=new_stack_id(), ports={})
        write_record(self.places, with_ports(replace(known, ports=ports)))


def process_table(site: Site) -> tuple[Process, ...]:
    """Every process of a stack, infrastructure first."""
    return (
        *(component.process(site) for component in COMPONENTS.values()),
        *applications.processes(site.ports, first=site.first, fed=site.fed),
    )


def _prepare(process: Process, site: Site) -> None:
    if process.tier is Tier.INFRASTRUCTURE:
        COMPONENTS[process.name].prepare(site)
