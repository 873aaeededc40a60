"""May this schema follow that one? FULL: each reads all of the other's data, so old and new run side by side."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from schemas.errors import ContractError

Schema: TypeAlias = Any
Names: TypeAlias = dict[str, Schema]

_PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})


class Verdict(StrEnum):
    """What a single change means for data already written and for readers already running."""

    FULL = "full"
    NEW_VALUE = "new-value"  # FULL in Avro's sense; readers of today refuse events that carry the value
    BREAKS_NEW_READERS = "breaks-new-readers"  # they cannot read the data that is there
    BREAKS_OLD_READERS = "breaks-old-readers"  # those running cannot read what is written next


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference between two versions, in words."""

    path: str
    what: str
    verdict: Verdict

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


def changes_between(old: Schema, new: Schema) -> tuple[Change, ...]:
    """Name every difference that matters: documentation does not. Empty when there is none."""
    comparison = _Comparison(_names_in(old), _names_in(new))
    return tuple(comparison.types(old, new, path=new["name"]))


def refusals(changes: tuple[Change, ...]) -> tuple[Change, ...]:
    """Return the changes that keep two versions from being FULL."""
    return tuple(each for each in changes if each.verdict in {Verdict.BREAKS_NEW_READERS, Verdict.BREAKS_OLD_READERS})


def roll_out_order(changes: tuple[Change, ...]) -> str:
    """Say who is rolled out first, and for a refused change who would have to be."""
    verdicts = {each.verdict for each in changes}
    if {Verdict.BREAKS_NEW_READERS, Verdict.BREAKS_OLD_READERS} <= verdicts:
        return "no order works: old and new processes cannot read each other; publish on a new topic"
    if Verdict.BREAKS_NEW_READERS in verdicts:
        return (
            "producers first, and all older records gone before the first new consumer: publish on a new topic instead"
        )
    if Verdict.BREAKS_OLD_READERS in verdicts:
        return "consumers first, and none of the old ones left: publish on a new topic instead"
    if Verdict.NEW_VALUE in verdicts:
        return "consumers first: those of today refuse events that carry the new value"
    return (
        "consumers first: they learn the schema's id from the manifest they are built with "
        "(with a schema registry, any order)"
    )


def without_docs(schema: Schema) -> Schema:
    """Return the schema without its documentation, which binds nobody."""
    if isinstance(schema, Mapping):
        return {key: without_docs(value) for key, value in schema.items() if key != "doc"}
    return [without_docs(each) for each in schema] if isinstance(schema, list) else schema


class _Comparison:
    """Walks two schemas side by side."""

    def __init__(self, old_names: Names, new_names: Names) -> None:
        self._old_names = old_names
        self._new_names = new_names
        self._compared: set[tuple[str, str]] = set()

    def types(self, old: Schema, new: Schema, *, path: str) -> Iterator[Change]:
        old, new = _resolve(old, self._old_names), _resolve(new, self._new_names)
        if isinstance(old, list) or isinstance(new, list):
            yield from self._unions(_branches(old), _branches(new), path=path)
        elif _signature(old) != _signature(new):
            yield from _both_ways(path, f"the type changed from {_signature(old)} to {_signature(new)}")
        elif old["type"] == "record":
            yield from self._records(old, new, path=path)
        elif old["type"] == "array":
            yield from self.types(old["items"], new["items"], path=f"{path}[]")
        elif old["type"] == "map":
            yield from self.types(old["values"], new["values"], path=f"{path}{{}}")
        else:
            yield from _values(old, new, path=path)

    def _records(self, old: Schema, new: Schema, *, path: str) -> Iterator[Change]:
        pair = (old["name"], new["name"])
        if pair in self._compared:
            return
        self._compared.add(pair)
        before = {field["name"]: field for field in old["fields"]}
        after = {field["name"]: field for field in new["fields"]}
        for name in sorted(before.keys() | after.keys()):
            where = f"{path}.{name}"
            if name not in before:
                yield _added(after[name], path=where)
            elif name not in after:
                yield _removed(before[name], path=where)
            else:
                yield from self._fields(before[name], after[name], path=where)

    def _fields(self, old: Schema, new: Schema, *, path: str) -> Iterator[Change]:
        if "default" in old and "default" in new and old["default"] != new["default"]:
            what = (
                f"the default changed from {old['default']!r} to {new['default']!r}: old data would change its meaning"
            )
            yield from _both_ways(path, what)
        yield from self.types(old["type"], new["type"], path=path)

    def _unions(self, old: list[Schema], new: list[Schema], *, path: str) -> Iterator[Change]:
        before = {_signature(_resolve(each, self._old_names)): each for each in old}
        after = {_signature(_resolve(each, self._new_names)): each for each in new}
        for signature in sorted(before.keys() - after.keys()):
            what = f"{signature} is no longer allowed, and data has it"
            yield Change(path=path, what=what, verdict=Verdict.BREAKS_NEW_READERS)
        for signature in sorted(after.keys() - before.keys()):
            what = f"{signature} is allowed now, and readers of today cannot read it"
            yield Change(path=path, what=what, verdict=Verdict.BREAKS_OLD_READERS)
        for signature in sorted(before.keys() & after.keys()):
            yield from self.types(before[signature], after[signature], path=path)


def _both_ways(path: str, what: str) -> Iterator[Change]:
    yield Change(path=path, what=what, verdict=Verdict.BREAKS_NEW_READERS)
    yield Change(path=path, what=what, verdict=Verdict.BREAKS_OLD_READERS)


def _added(field: Schema, *, path: str) -> Change:
    if "default" in field:
        return Change(path=path, what=f"added, with the default {field['default']!r}", verdict=Verdict.FULL)
    what = "added without a default: data that is there does not have it"
    return Change(path=path, what=what, verdict=Verdict.BREAKS_NEW_READERS)


def _removed(field: Schema, *, path: str) -> Change:
    if "default" in field:
        return Change(path=path, what=f"removed; readers of today see {field['default']!r}", verdict=Verdict.FULL)
    what = "removed, and it had no default: readers of today cannot do without it"
    return Change(path=path, what=what, verdict=Verdict.BREAKS_OLD_READERS)


def _values(old: Schema, new: Schema, *, path: str) -> Iterator[Change]:
    before, after = old.get("allowed"), new.get("allowed")
    if before is None and after is None:
        return
    gone = sorted(set(before or ()) - set(after or ()))
    fresh = sorted(set(after or ()) - set(before or ()))
    if before is None or (gone and after is not None):
        what = f"the values {', '.join(gone)} are gone" if gone else "any text was allowed, now only some values are"
        yield Change(path=path, what=f"{what}, and data has them", verdict=Verdict.BREAKS_NEW_READERS)
    if after is None:
        yield Change(path=path, what="any text is allowed now", verdict=Verdict.NEW_VALUE)
    elif fresh and before is not None:
        yield Change(path=path, what=f"new values {', '.join(fresh)}", verdict=Verdict.NEW_VALUE)


def _branches(schema: Schema) -> list[Schema]:
    return schema if isinstance(schema, list) else [schema]


def _signature(schema: Schema) -> str:
    """Name what must stay the same for data to stay readable: kind, record name, logical type."""
    parts = (schema["type"], schema.get("name"), schema.get("logicalType"))
    return " ".join(str(part) for part in parts if part)


def _names_in(schema: Schema) -> Names:
    names: Names = {}

    def walk(part: Schema) -> None:
        if isinstance(part, list):
            for each in part:
                walk(each)
        elif isinstance(part, Mapping):
            if part.get("type") == "record":
                names[f"{part.get('namespace', 'rag')}.{part['name']}"] = part
                for field in part["fields"]:
                    walk(field["type"])
            for inner in ("items", "values"):
                walk(part.get(inner))

    walk(schema)
    return names


def _resolve(schema: Schema, names: Names) -> Schema:
    """Return a definition: a mapping with `type`, or a union's list."""
    if isinstance(schema, str):
        if schema in _PRIMITIVES:
            return {"type": schema}
        if schema not in names:
            raise ContractError(f"the schema refers to {schema}, which it does not define")
        return names[schema]
    if isinstance(schema, Mapping) and schema.get("type") in {"enum", "fixed"}:
        raise ContractError(f"{schema.get('name')}: Avro's {schema['type']} is not used here (ADR 0021)")
    return schema
