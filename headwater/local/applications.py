"""Our own processes. They are started by module name: an import would turn the direction of imports round."""

import sys
from collections.abc import Sequence

from headwater.local.ports import Ports
from headwater.local.process import Probe, Process, Task, Tier

_LOG = ("topics",)
_STORES = (*_LOG, "migrations")

# name -> (module and arguments, what must be ready before)
TABLE: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "heads": (("headwater.heads",), _LOG),
    "admit": (("streams", "admit"), _LOG),
    "prepare": (("streams", "prepare"), (*_LOG, "redis")),
    "embed": (("streams", "embed"), (*_LOG, "redis", "triton")),
    "index-vectors": (("streams", "index-vectors"), _STORES),
    "index-keywords": (("streams", "index-keywords"), _STORES),
    "status": (("streams", "status"), _STORES),
    "feedback": (("streams", "feedback"), _STORES),
    "analytics": (("streams", "analytics"), _STORES),
    "sweep": (("streams", "sweep"), _STORES),
    "audit": (("streams", "audit"), _STORES),
    "query-api": (("query_api",), (*_STORES, "heads", "admit", "triton")),  # its first start submits a tenant and a key
    "canary": (("headwater.canary",), ("query-api",)),
    "connectors": (("connectors", "worker"), _LOG),
    "webhooks": (("connectors", "webhooks"), _LOG),
}


# One of each for every generation that is fed.
PER_GENERATION = ("prepare", "embed", "index-vectors", "index-keywords", "sweep", "audit")


def processes(ports: Ports, *, first: bool = True, fed: Sequence[str] = ()) -> tuple[Process, ...]:
    """All of them, in the table's order: the settings' own generation unless it was dropped, then the added ones."""
    own = tuple(_process(name, name, ports) for name in TABLE if first or name not in PER_GENERATION)
    return (*own, *(process for generation in fed for process in of_generation(ports, generation)))


def of_generation(ports: Ports, generation: str) -> tuple[Process, ...]:
    """What feeds an added generation. Raises KeyError while `ports` has none for it."""
    return tuple(_process(name, name_of(name, generation), ports, generation=generation) for name in PER_GENERATION)


def name_of(name: str, generation: str) -> str:
    """Name a process of an added generation."""
    return f"{name}-{generation}"


def listener_of(process: str) -> str:
    """Name the port on which a process answers."""
    return f"{process}-management"


def _process(entry: str, name: str, ports: Ports, *, generation: str | None = None) -> Process:
    module, needs = TABLE[entry]
    port = ports[listener_of(name)]
    return Process(
        name=name,
        tier=Tier.APPLICATION,
        command=(sys.executable, "-m", *module),
        probe=Probe.MANAGEMENT,
        port=port,
        needs=needs,
        environment={
            "HEADWATER_MANAGEMENT__PORT": str(port),
            "HEADWATER_TELEMETRY__SERVICE_NAME": f"headwater-{name}",
            **({"HEADWATER_GENERATION": generation} if generation else {}),
        },
    )


def tasks(*, generation: str | None = None) -> tuple[Task, ...]:
    """What runs once between the infrastructure and our processes; for the settings' generation unless told."""
    headwater = (sys.executable, "-m", "headwater.cli.main")
    of = ("--generation", generation) if generation else ()
    stores = ("topics", "milvus", "elasticsearch")
    return (
        Task(name="topics", command=(*headwater, "topics", "apply", *of), needs=("kafka",)),
        Task(name="migrations", command=(*headwater, "migrate", "apply", *of), needs=stores),
    )
