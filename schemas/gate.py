"""The gate that contract changes pass: append-only ids, FULL compatibility, classes equal to schemas."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import fastavro
from fastavro.schema import SchemaParseException, UnknownType

from schemas.catalogue import CatalogueEntry, parse_entry
from schemas.compatibility import Change, changes_between, refusals, roll_out_order, without_docs
from schemas.derivation import derive_schema
from schemas.errors import ContractError
from schemas.events import EVENT_TYPES
from schemas.registry import Registration, fingerprint, parse_manifest
from schemas.snapshot import Snapshot

# What a topic was created with and what its readers rely on: another value is another topic.
_FIXED_BY_CATALOGUE = ("event", "key", "partitions", "cleanup")
_AVRO_ERRORS = (SchemaParseException, UnknownType)


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaStep:
    """A new version of one event's schema, and what it means."""

    event: str
    from_version: int
    to_version: int
    changes: tuple[Change, ...]
    order: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The gate's answer: it opens when there are no problems."""

    problems: tuple[str, ...]
    steps: tuple[SchemaStep, ...]  # since the base


def check(tree: Snapshot, base: Snapshot | None, *, event_types: Sequence[type] = EVENT_TYPES) -> Report:
    """Judge the working tree's contracts, as such and as the successor of `base` (None: there were none)."""
    try:
        registrations = parse_manifest(tree.manifest)
        earlier = parse_manifest(base.manifest) if base else ()
        problems = (*_files(registrations, tree), *_only_grown(earlier, registrations))
        if problems:  # what follows compares schemas, and these are not the registered ones
            return Report(problems=problems, steps=())
        schemas = {each.id: _schema(tree, each) for each in registrations}
        problems = (
            *_full(registrations, schemas),
            *_classes(registrations, schemas, event_types),
            *(_catalogue(base.catalogue, tree.catalogue) if base else ()),
        )
    except ContractError as error:
        return Report(problems=(str(error),), steps=())
    return Report(problems=problems, steps=tuple(_steps(registrations, schemas, known=len(earlier))))


def _schema(tree: Snapshot, registration: Registration) -> Any:
    try:
        schema = json.loads(tree.schemas[registration.file])
        fastavro.parse_schema(schema)
    except (ValueError, TypeError, KeyError, *_AVRO_ERRORS) as error:
        raise ContractError(f"schemas/avro/{registration.file} is no Avro schema: {error!r}") from error
    if not isinstance(schema, dict) or (schema["type"], schema["name"]) != ("record", registration.event):
        raise ContractError(
            f"schemas/avro/{registration.file} is no Avro schema of a record named {registration.event}"
        )
    return schema


def _files(registrations: Sequence[Registration], tree: Snapshot) -> Iterator[str]:
    for each in registrations:
        content = tree.schemas.get(each.file)
        if content is None:
            yield f"schemas/avro/{each.file} is registered as id {each.id} but missing: restore it"
        elif fingerprint(content) != each.sha256:
            yield (
                f"schemas/avro/{each.file} was edited after it was registered as id {each.id}: restore it and run "
                f"`headwater schemas add {each.event}`"
            )
    for name in sorted(tree.schemas.keys() - {each.file for each in registrations}):
        yield f"schemas/avro/{name} is not in schemas/manifest.json: `headwater schemas add` writes both"


def _only_grown(earlier: Sequence[Registration], now: Sequence[Registration]) -> Iterator[str]:
    for line, known in enumerate(earlier):
        if line >= len(now):
            yield f"schemas/manifest.json: id {known.id} ({known.event}) was removed; ids are append-only: restore it"
        elif now[line] != known:
            yield f"schemas/manifest.json: id {known.id} ({known.event} version {known.version}) changed: restore it"


def _full(registrations: Sequence[Registration], schemas: Mapping[int, Any]) -> Iterator[str]:
    for older, newer in combinations(registrations, 2):
        if older.event != newer.event:
            continue
        changes = changes_between(schemas[older.id], schemas[newer.id])
        refused = refusals(changes)
        for each in refused:
            yield f"{older.event} version {newer.version} is not FULL with version {older.version}: {each}"
        if refused:
            yield f"{older.event}: roll-out would be {roll_out_order(refused)}"


def _classes(
    registrations: Sequence[Registration], schemas: Mapping[int, Any], event_types: Sequence[type]
) -> Iterator[str]:
    latest = {each.event: schemas[each.id] for each in registrations}
    for event_type in event_types:
        name = event_type.__name__
        if name not in latest:
            yield f"{name} has no schema: run `headwater schemas add {name}`"
        elif without_docs(latest[name]) != without_docs(derive_schema(event_type)):
            changes = "; ".join(str(each) for each in changes_between(latest[name], derive_schema(event_type)))
            what = changes or "the order of fields or a default"
            yield f"{name} differs from its schema ({what}): run `headwater schemas add {name}`"


def _catalogue(earlier: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name, text in sorted(earlier.items()):
        if name not in now:
            yield f"schemas/catalogue/{name} was removed: a topic stays declared while anybody may read it"
            continue
        before, after = parse_entry(text, file=name), parse_entry(now[name], file=name)
        for key in _FIXED_BY_CATALOGUE:
            yield from _fixed(key, before, after)


def _fixed(key: str, before: CatalogueEntry, after: CatalogueEntry) -> Iterator[str]:
    old, new = getattr(before, key), getattr(after, key)
    if old != new:
        yield f"{before.topic}: {key} changed from {old!r} to {new!r}: a breaking change is a new topic"


def _steps(registrations: Sequence[Registration], schemas: Mapping[int, Any], *, known: int) -> Iterator[SchemaStep]:
    for each in registrations[known:]:
        previous = [other for other in registrations[: each.id - 1] if other.event == each.event]
        if not previous:
            continue
        changes = changes_between(schemas[previous[-1].id], schemas[each.id])
        yield SchemaStep(
            event=each.event,
            from_version=previous[-1].version,
            to_version=each.version,
            changes=changes,
            order=roll_out_order(changes),
        )
