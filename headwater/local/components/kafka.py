"""Kafka: one KRaft node, broker and controller in one."""

import base64
import subprocess
from uuid import uuid4

from headwater.errors import FatalError
from headwater.local.java import QUICK_JVM, class_archive
from headwater.local.ports import LOOPBACK
from headwater.local.process import Probe, Process, Tier
from headwater.local.site import Site

_FORMAT_TIMEOUT_S = 60
_MEGABYTE = 1024 * 1024
_YEAR_MINUTES = 365 * 24 * 60


def process(site: Site) -> Process:
    heap = ("-Xms128m", "-Xmx512m", "-XX:+ExitOnOutOfMemoryError", QUICK_JVM)
    archive = class_archive(site.places.data("kafka").with_suffix(".jsa"))
    return Process(
        name="kafka",
        tier=Tier.INFRASTRUCTURE,
        command=(*_java(site), *heap, *archive, "kafka.Kafka", _properties_file(site)),
        probe=Probe.KAFKA_METADATA,
        port=site.ports["kafka"],
    )


def prepare(site: Site) -> None:
    """Write the configuration; format the log folder the first time. Raises FatalError when formatting fails."""
    data = site.places.data("kafka")
    data.mkdir(parents=True, exist_ok=True)
    (site.places.run / "kafka.properties").write_text(properties(site))
    if (data / "meta.properties").exists():
        return
    _storage_tool(site, "format", "--standalone", f"--cluster-id={_cluster_id()}", "-c", _properties_file(site))


def properties(site: Site) -> str:
    """Broker settings; whatever a topic needs for itself is in its catalogue file."""
    broker, controller = (f"{LOOPBACK}:{site.ports[name]}" for name in ("kafka", "kafka-controller"))
    listeners = f"PLAINTEXT://{broker},CONTROLLER://{controller}"
    settings: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.bootstrap.servers": controller,
        "listeners": listeners,
        "advertised.listeners": listeners,
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": site.places.data("kafka"),
        "auto.create.topics.enable": "false",  # topics are declared in schemas/catalogue
        "group.initial.rebalance.delay.ms": 0,  # a worker gets its partitions at once; there is nobody to wait for
        # The positions of a group without workers are forgotten after seven days by default. Then nobody can tell what
        # it has read from what retention has taken, and the stages ask for another generation.
        "offsets.retention.minutes": _YEAR_MINUTES,
        # One node holds every copy.
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        # A parked event carries the original bytes beside its reason, and the original may be as large as the default.
        "message.max.bytes": 2 * _MEGABYTE,
        "log.segment.bytes": 128 * _MEGABYTE,
        "log.cleaner.dedupe.buffer.size": 32 * _MEGABYTE,  # the default, 128 MB, is a quarter of this heap
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _properties_file(site: Site) -> str:
    return str(site.places.run / "kafka.properties")


def _cluster_id() -> str:
    """Return a random UUID as Kafka writes it: URL-safe base64 without its padding."""
    return base64.urlsafe_b64encode(uuid4().bytes).rstrip(b"=").decode()


def _java(site: Site) -> tuple[str, ...]:
    return (str(site.installation.java / "bin" / "java"), "-cp", f"{site.installation.kafka}/*")


def _storage_tool(site: Site, *arguments: str) -> str:
    finished = subprocess.run(  # noqa: S603 - the runtime and jars that set-up verified
        [*_java(site), "-Xmx128m", "kafka.tools.StorageTool", *arguments],
        capture_output=True,
        text=True,
        timeout=_FORMAT_TIMEOUT_S,
        check=False,
    )
    if finished.returncode != 0:
        reason = (finished.stderr or finished.stdout).strip().splitlines()[-1:]
        raise FatalError(f"Kafka could not format {site.places.data('kafka')}: {' '.join(reason)}")
    return finished.stdout
