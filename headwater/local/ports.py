"""Which loopback port each part of the stack listens on."""

import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from urllib.parse import urlsplit

from headwater.errors import FatalError
from headwater.settings import Settings

LOOPBACK = "127.0.0.1"
LOOPBACK_NAMES = frozenset({LOOPBACK, "localhost"})
FIRST_MANAGEMENT_PORT = 9600
# Each process of `headwater.local.applications` answers on a port of its own.
MANAGED = (
    "heads",
    "admit",
    "prepare",
    "embed",
    "index-vectors",
    "index-keywords",
    "status",
    "feedback",
    "analytics",
    "sweep",
    "audit",
    "query-api",
    "canary",
    "connectors",
    "webhooks",
)

COMPONENT_LISTENERS = (
    "kafka",
    "kafka-controller",
    "elasticsearch",
    "elasticsearch-transport",
    "milvus",
    "redis",
    "triton-http",
    "triton",
    "triton-metrics",
    "api",
    "webhooks",
)
LISTENERS = (*COMPONENT_LISTENERS, *(f"{process}-management" for process in MANAGED))

Ports = Mapping[str, int]  # listener -> port


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A port and the setting that moves it."""

    name: str
    port: int
    setting: str


def fixed_listeners(settings: Settings) -> tuple[Listener, ...]:
    """Take the ports from the addresses in the settings; the components' inner ports lie beside them.

    Raises FatalError when an address is not on loopback: such a component is somebody else's to start.
    """
    kafka = _loopback_port(f"//{settings.kafka.bootstrap_servers}", "HEADWATER_KAFKA__BOOTSTRAP_SERVERS")
    elasticsearch = _loopback_port(settings.elasticsearch.url, "HEADWATER_ELASTICSEARCH__URL")
    triton = _loopback_port(f"//{settings.triton.url}", "HEADWATER_TRITON__URL")
    milvus = _loopback_port(settings.milvus.url, "HEADWATER_MILVUS__URL")
    redis = _loopback_port(settings.redis.url.get_secret_value(), "HEADWATER_REDIS__URL")
    components = (
        (kafka, "HEADWATER_KAFKA__BOOTSTRAP_SERVERS"),
        (kafka + 1, "HEADWATER_KAFKA__BOOTSTRAP_SERVERS"),
        (elasticsearch, "HEADWATER_ELASTICSEARCH__URL"),
        (elasticsearch + 100, "HEADWATER_ELASTICSEARCH__URL"),
        (milvus, "HEADWATER_MILVUS__URL"),
        (redis, "HEADWATER_REDIS__URL"),
        (triton - 1, "HEADWATER_TRITON__URL"),
        (triton, "HEADWATER_TRITON__URL"),
        (triton + 1, "HEADWATER_TRITON__URL"),
        (settings.api.port, "HEADWATER_API__PORT"),
        (settings.webhooks.port, "HEADWATER_WEBHOOKS__PORT"),
    )
    management = ((FIRST_MANAGEMENT_PORT + nth, "HEADWATER_LOCAL__PORTS=free") for nth in range(len(MANAGED)))
    return tuple(
        Listener(name=name, port=port, setting=setting)
        for name, (port, setting) in zip(LISTENERS, (*components, *management), strict=True)
    )


def fixed_ports(settings: Settings) -> Ports:
    return {listener.name: listener.port for listener in fixed_listeners(settings)}


def free_ports(names: Sequence[str] = LISTENERS) -> Ports:
    """Return ports that nobody listens on, all different: every one is held until the last is found."""
    ports: dict[str, int] = {}
    with ExitStack() as held:
        for name in names:
            probe = held.enter_context(closing(socket.socket()))
            probe.bind((LOOPBACK, 0))
            ports[name] = probe.getsockname()[1]
    return ports


def in_use(port: int) -> bool:
    """Whether a listener holds the port; sockets that only linger after a stop do not count."""
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return True
        return False


def port_conflicts(settings: Settings) -> tuple[str, ...]:
    """A sentence for each fixed port that somebody else holds."""
    return tuple(
        f"port {listener.port} ({listener.name}) is in use: stop what holds it (`ss -ltnp`), move it with "
        f"{listener.setting}, or start with `headwater up --free-ports`"
        for listener in fixed_listeners(settings)
        if in_use(listener.port)
    )


def _loopback_port(address: str, setting: str) -> int:
    parts = urlsplit(address)
    if parts.hostname not in LOOPBACK_NAMES or parts.port is None:
        raise FatalError(
            f"{setting} is {parts.netloc.rpartition('@')[2]!r}: the embedded stack starts on {LOOPBACK} only; "
            f"unset it, or set it to {LOOPBACK} and a port"
        )
    return parts.port
