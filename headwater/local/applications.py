"""Our own processes. They are started by module name: an import would turn the direction of imports round."""

import sys

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
}


def processes(ports: Ports) -> tuple[Process, ...]:
    """All of them, in the table's order."""
    return tuple(
        Process(
            name=name,
            tier=Tier.APPLICATION,
            command=(sys.executable, "-m", *module),
            probe=Probe.MANAGEMENT,
            port=ports[f"{name}-management"],
            needs=needs,
            environment={
                "HEADWATER_MANAGEMENT__PORT": str(ports[f"{name}-management"]),
                "HEADWATER_TELEMETRY__SERVICE_NAME": f"headwater-{name}",
            },
        )
        for name, (module, needs) in TABLE.items()
    )


def tasks() -> tuple[Task, ...]:
    """What runs once between the infrastructure and our processes."""
    headwater = (sys.executable, "-m", "headwater.cli.main")
    return (
        Task(name="topics", command=(*headwater, "topics", "apply"), needs=("kafka",)),
        Task(name="migrations", command=(*headwater, "migrate", "apply"), needs=("topics", "milvus", "elasticsearch")),
    )
