"""What the supervisor runs, as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class Tier(StrEnum):
    """Who needs whom, roughly: applications need the infrastructure."""

    INFRASTRUCTURE = "infrastructure"
    APPLICATION = "application"


class Probe(StrEnum):
    """How readiness is asked; `headwater.local.readiness` has one function for each."""

    KAFKA_METADATA = "kafka-metadata"
    ELASTICSEARCH_HEALTH = "elasticsearch-health"
    MILVUS_COLLECTIONS = "milvus-collections"
    REDIS_PING = "redis-ping"
    TRITON_MODELS = "triton-models"
    MANAGEMENT = "management"


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One supervised process."""

    name: str
    tier: Tier
    command: tuple[str, ...]
    probe: Probe
    port: int  # where the probe asks
    needs: tuple[str, ...] = ()  # processes and tasks that must be ready before
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None  # working folder; none: the supervisor's
    start_timeout_s: float = 240.0  # a busy laptop takes five times as long as an idle one
    hung_after_s: float | None = None  # not ready by then it is begun again, with twice the time; None: it never hangs
    stop_grace_s: int = 30  # after this the supervisor kills it


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A command that runs once between processes and must succeed."""

    name: str
    command: tuple[str, ...]
    needs: tuple[str, ...]
    timeout_s: float = 120.0
