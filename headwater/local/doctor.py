"""Everything that can keep the stack from working, checked without starting anything."""

import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from headwater.errors import FatalError
from headwater.local import java, system_packages
from headwater.local.installation import files_of, locate
from headwater.local.manifest import damage, read_manifest
from headwater.local.ports import port_conflicts
from headwater.local.readiness import is_ready
from headwater.local.stack import LocalStack
from headwater.local.supervisor import Supervisor

GIGABYTE = 1024**3
NEEDED_MEMORY = 5 * GIGABYTE
NEEDED_DISK = 5 * GIGABYTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check. `said` is what was found, or what to do."""

    check: str
    ok: bool
    said: str


def examine(stack: LocalStack) -> tuple[Finding, ...]:
    """Run all checks; none of them changes anything, and a failed one does not stop the others."""
    checks: dict[str, Callable[[LocalStack], str]] = {
        "python": _python,
        "state folder": _state_folder,
        "disk": _disk,
        "java": _java,
        "system packages": _system_packages,
        "installation": _installation,
        "checksums": _checksums,
        "models": _models,
    }
    supervisor = stack.supervisor()
    if supervisor is None:
        checks |= {"ports": _ports, "memory": _memory}  # a running stack holds both
    findings = [_find(name, check, stack) for name, check in checks.items()]
    if supervisor is not None:
        findings += _processes(stack, supervisor)
    return tuple(findings)


def _find(name: str, check: Callable[[LocalStack], str], stack: LocalStack) -> Finding:
    try:
        return Finding(check=name, ok=True, said=check(stack))
    except FatalError as error:
        return Finding(check=name, ok=False, said=str(error))


def _python(_: LocalStack) -> str:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] != (3, 11):
        raise FatalError(f"Python {version} runs this: Headwater needs 3.11, `make setup PYTHON=python3.11`")
    return version


def _state_folder(stack: LocalStack) -> str:
    folder = stack.places.state
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(existing, os.W_OK):
        raise FatalError(f"{existing} cannot be written: choose another with HEADWATER_LOCAL__STATE_FOLDER")
    return str(folder)


def _disk(stack: LocalStack) -> str:
    folder = stack.places.state
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < NEEDED_DISK:
        raise FatalError(f"only {free / GIGABYTE:.1f} GB are free: make room for {NEEDED_DISK // GIGABYTE}")
    return f"{free / GIGABYTE:.0f} GB free"


def _memory(_: LocalStack) -> str:
    available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if total < NEEDED_MEMORY:
        raise FatalError(
            f"this machine has {total / GIGABYTE:.1f} GB of memory: the whole stack uses up to "
            f"{NEEDED_MEMORY // GIGABYTE}; start a part of it with `headwater up --only`"
        )
    return f"{total / GIGABYTE:.0f} GB, {available / GIGABYTE:.0f} GB of it unused"


def _java(_: LocalStack) -> str:
    home = java.find_java()
    return f"{java.version_of(home)} in {home}"


def _system_packages(_: LocalStack) -> str:
    if missing := system_packages.missing_packages():
        raise FatalError(f"run `sudo apt-get install -y {' '.join(missing)}` (or your system's like)")
    return ", ".join(package.name for package in system_packages.PACKAGES)


def _installation(stack: LocalStack) -> str:
    locate(stack.places)
    return f"complete in {stack.places.cache}"


def _checksums(stack: LocalStack) -> str:
    components = read_manifest().components.values()
    for component in components:
        folder = files_of(component, stack.places)
        if not folder.is_dir():
            raise FatalError(f"{component.name} has not been fetched: run `headwater setup`")
        if said := damage(component, folder):
            raise FatalError(f"{said}; run `headwater setup`, which fetches it again")
    return f"{sum(len(component.artifacts) for component in components)} files as in the manifest"


def _models(stack: LocalStack) -> str:
    models = stack.places.models
    if not models.is_dir():
        raise FatalError(f"{models} is missing: run `headwater setup` in a checkout")
    return ", ".join(sorted(path.parent.name for path in models.glob("*/config.pbtxt")))


def _ports(stack: LocalStack) -> str:
    if stack.settings.local.ports == "free":
        return "chosen when the stack starts"
    if conflicts := port_conflicts(stack.settings):
        raise FatalError("; ".join(conflicts))
    return "all free"


def _processes(stack: LocalStack, supervisor: Supervisor) -> Iterator[Finding]:
    """Ask each process that was started whether it is ready."""
    states = supervisor.states()
    for process in stack.processes():
        state = states[process.name].state
        if state == "STOPPED":
            continue
        ready = asyncio.run(is_ready(process))
        said = "ready" if ready else f"{state.lower()} and not ready: `headwater logs {process.name}`"
        yield Finding(check=process.name, ok=ready, said=said)
