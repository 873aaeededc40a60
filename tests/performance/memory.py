"""Memory of the whole stack: every process of the supervisor and what those have started."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from headwater.errors import FatalError
from headwater.local.supervisor import Supervisor
from tests.performance.bench import Bench
from tests.performance.figures import Figure

_GOAL_MIB = 5 * 1024


def measure_memory(bench: Bench) -> list[Figure]:
    """Add up proportional set sizes: what processes share is counted once."""
    sizes = process_sizes(bench)
    return [
        *(Figure(name=name, value=size, unit="MiB") for name, size in sorted(sizes.items(), key=lambda each: -each[1])),
        Figure(name="the whole stack", value=sum(sizes.values()), unit="MiB", goal=_GOAL_MIB),
    ]


def process_sizes(bench: Bench) -> Mapping[str, float]:
    """Return the proportional set size in MiB of each process of the supervisor, its children included."""
    supervisor = running_supervisor(bench)
    children = _children()
    owners = {"supervisor": supervisor.pid()} | {
        name: state.pid for name, state in supervisor.states().items() if state.pid
    }
    return {
        name: sum(_pss_mib(process) for process in ([pid] if name == "supervisor" else _tree(pid, children)))
        for name, pid in owners.items()
    }


def running_supervisor(bench: Bench) -> Supervisor:
    """Return the supervisor of the stack that is measured. Raises FatalError when it has stopped."""
    supervisor = bench.stack.supervisor()
    if supervisor is None:
        raise FatalError("the stack has stopped: see its logs with `headwater logs`")
    return supervisor


def _tree(pid: int, children: Mapping[int, list[int]]) -> Iterator[int]:
    yield pid
    for child in children.get(pid, ()):
        yield from _tree(child, children)


def _children() -> Mapping[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        found[int(after_name[1])].append(int(path.parent.name))
    return found


def _pss_mib(pid: int) -> float:
    """Return a process's share of memory; 0 for one that has just ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
