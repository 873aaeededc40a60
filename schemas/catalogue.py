"""What each topic is: one reviewed file in `schemas/catalogue/`, read into a typed entry."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import yaml

from schemas.errors import ContractError
from schemas.events import EVENT_TYPES
from schemas.registry import SCHEMAS_FOLDER
from schemas.topics import Topic

CATALOGUE_FOLDER = SCHEMAS_FOLDER / "catalogue"
OWNERS = frozenset({"admission", "ingestion", "platform", "query", "sources"})

_EVENTS: dict[str, Any] = {kind.__name__: kind for kind in EVENT_TYPES}
# Lanes of the same event.
_SHARED_EVENTS = {Topic.DOCUMENTS_BACKFILL: "DocumentSubmitted", Topic.DOCUMENTS_DEFERRED: "DocumentChanged"}
_ROLE = re.compile(r"[a-z][a-z-]*")
_REQUIRED = (
    "topic",
    "event",
    "key",
    "owner",
    "producers",
    "consumers",
    "partitions",
    "cleanup",
    "visibility",
    "description",
)
_OPTIONAL = ("retention_days", "min_compaction_lag_days", "max_compaction_lag_days", "max_message_bytes")
C = TypeVar("C", bound=StrEnum)


class Partitions(StrEnum):
    """How many partitions a topic is created with. They never grow in place: keys would move."""

    CONFIGURED = "configured"  # settings.kafka.partitions: the same for all, so that keys lie side by side
    ONE = "one"  # one order for everything


class Cleanup(StrEnum):
    """What the broker removes."""

    DELETE = "delete"  # what is older than the retention
    COMPACT = "compact"  # all but the newest record of a key


class Visibility(StrEnum):
    """Whom a topic's form binds."""

    PUBLIC = "public"  # anybody in the company may read it
    INTERNAL = "internal"  # the stages alone


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueEntry:
    """A topic's contract besides its schema. `None` where a setting does not apply to its cleanup policy."""

    topic: Topic
    event: str  # class name
    key: str  # what the key is made of, for people
    owner: str  # who answers for it: one of OWNERS
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    partitions: Partitions
    cleanup: Cleanup
    retention_days: float | None
    min_compaction_lag_days: float | None  # history stays readable at least this long
    max_compaction_lag_days: float | None  # an erased record is gone after this long at the latest
    max_message_bytes: int | None  # None: the broker's own limit, 1 MiB
    visibility: Visibility
    description: str


def load_catalogue(folder: Path = CATALOGUE_FOLDER) -> Mapping[Topic, CatalogueEntry]:
    """Read all files. Raises ContractError when one is wrong, missing or superfluous."""
    entries = {}
    for path in sorted(folder.glob("*.yaml")):
        entry = parse_entry(path.read_text(encoding="utf-8"), file=path.name)
        entries[entry.topic] = entry
    missing = sorted(set(Topic) - entries.keys())
    if missing:
        raise ContractError(f"no catalogue file for {', '.join(missing)}: add schemas/catalogue/NAME.yaml")
    return entries


def parse_entry(text: str, *, file: str) -> CatalogueEntry:
    """Read one file. Raises ContractError naming the file, the key and what is allowed."""
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ContractError(f"{file} is no YAML: {error}") from error
    if not isinstance(raw, dict):
        raise ContractError(f"{file} must be a mapping with the keys {', '.join(_REQUIRED)}")
    fields = _Fields(file, raw)
    entry = CatalogueEntry(
        topic=fields.choice("topic", Topic),
        event=fields.text("event"),
        key=fields.text("key"),
        owner=fields.text("owner"),
        producers=fields.roles("producers"),
        consumers=fields.roles("consumers"),
        partitions=fields.choice("partitions", Partitions),
        cleanup=fields.choice("cleanup", Cleanup),
        retention_days=fields.number("retention_days"),
        min_compaction_lag_days=fields.number("min_compaction_lag_days"),
        max_compaction_lag_days=fields.number("max_compaction_lag_days"),
        max_message_bytes=fields.whole_number("max_message_bytes"),
        visibility=fields.choice("visibility", Visibility),
        description=fields.text("description").strip(),
    )
    _check(entry, file)
    return entry


class _Fields:
    """A file's keys, each read with its type."""

    def __init__(self, file: str, raw: Mapping[str, Any]) -> None:
        self._file = file
        self._raw = raw
        unknown = sorted(raw.keys() - {*_REQUIRED, *_OPTIONAL})
        if unknown:
            raise ContractError(
                f"{file}: unknown keys {', '.join(unknown)}; known are {', '.join(_REQUIRED + _OPTIONAL)}"
            )
        missing = [name for name in _REQUIRED if name not in raw]
        if missing:
            raise ContractError(f"{file}: the keys {', '.join(missing)} are missing")

    def text(self, name: str) -> str:
        value = self._raw[name]
        if not isinstance(value, str) or not value.strip():
            raise self._wrong(name, "a text that is not empty")
        return value

    def choice(self, name: str, kind: type[C]) -> C:
        try:
            return kind(self._raw[name])
        except ValueError as error:
            raise self._wrong(name, f"one of {', '.join(kind)}") from error

    def roles(self, name: str) -> tuple[str, ...]:
        value = self._raw[name]
        if not isinstance(value, list) or not all(isinstance(each, str) and _ROLE.fullmatch(each) for each in value):
            raise self._wrong(name, "a list of stages or processes in lower case")
        return tuple(value)

    def number(self, name: str) -> float | None:
        value = self._raw.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value < 0):
            raise self._wrong(name, "a number of days")
        return value

    def whole_number(self, name: str) -> int | None:
        value = self._raw.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value <= 0):
            raise self._wrong(name, "a whole number above 0")
        return value

    def _wrong(self, name: str, wanted: str) -> ContractError:
        return ContractError(f"{self._file}: {name} is {self._raw.get(name)!r} and must be {wanted}")


def _check(entry: CatalogueEntry, file: str) -> None:
    if file != file_name(entry.topic):
        raise ContractError(f"{file}: the topic is {entry.topic}, so the file is named {file_name(entry.topic)}")
    if entry.owner not in OWNERS:
        raise ContractError(f"{file}: owner is {entry.owner!r} and must be one of {', '.join(sorted(OWNERS))}")
    event = _EVENTS.get(entry.event)
    if event is None:
        raise ContractError(f"{file}: event is {entry.event!r} and must be one of {', '.join(sorted(_EVENTS))}")
    if event.topic is not entry.topic and _SHARED_EVENTS.get(entry.topic) != entry.event:
        raise ContractError(f"{file}: {entry.event} names {event.topic} as its topic, not {entry.topic}")
    if not entry.producers:
        raise ContractError(f"{file}: producers is empty: a topic that nobody writes is not needed")
    _check_cleanup(entry, file)


def _check_cleanup(entry: CatalogueEntry, file: str) -> None:
    lags = (entry.min_compaction_lag_days, entry.max_compaction_lag_days)
    if entry.cleanup is Cleanup.DELETE:
        if not entry.retention_days or lags != (None, None):
            raise ContractError(f"{file}: cleanup delete wants retention_days above 0 and no compaction lags")
        return
    least, most = lags
    if least is None or most is None or entry.retention_days is not None:
        raise ContractError(
            f"{file}: cleanup compact wants min_compaction_lag_days (history stays readable) and "
            "max_compaction_lag_days (erasure is bounded), and no retention_days"
        )
    if not least < most:
        raise ContractError(f"{file}: min_compaction_lag_days must be below max_compaction_lag_days")


def file_name(topic: Topic) -> str:
    """Name a topic's catalogue file: `documents.changed.yaml`."""
    return f"{topic.removeprefix('rag.')}.yaml"
