"""What a migration is. Every one can be repeated: two processes may apply the same one at the same time."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from elasticsearch import AsyncElasticsearch
from pymilvus import AsyncMilvusClient

from headwater.settings import Settings
from schemas.ids import GenerationName


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The two stores of one installation, and the generation that is worked on."""

    settings: Settings
    generation: GenerationName
    elasticsearch: AsyncElasticsearch
    milvus: AsyncMilvusClient


# What was decided on the way (which analyzer, which index), for the record.
Findings: TypeAlias = Mapping[str, str | int | bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One numbered step and its way back. Numbers never change and are never used again."""

    number: int
    name: str
    per_generation: bool  # applied once for each generation; otherwise once for the installation
    apply: Callable[[Target], Awaitable[Findings]]
    revert: Callable[[Target], Awaitable[None]]
    revert_destroys: str  # what is lost on the way back, and how it is got again
    apply_rewrites: str | None = None  # what applying rewrites or destroys: then it needs force


class MigrationState(StrEnum):
    """Whether a migration was recorded as applied."""

    PENDING = "pending"
    APPLIED = "applied"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedMigration:
    """A migration and where it stands; `warning` says what running it would rewrite or destroy."""

    number: int
    name: str
    generation: GenerationName | None
    state: MigrationState
    warning: str | None
