"""Which part of a request keeps a document out."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from headwater.rows.conditions import filter_condition, holds
from query_api.search.filters import (
    AllFilter,
    AnyFilter,
    EqualsFilter,
    FilterModel,
    NotFilter,
    OneOfFilter,
    RangeFilter,
    to_filter,
)
from schemas.events.documents import AttributeScalar, AttributeValue
from schemas.ids import KnowledgeBaseId

Facts: TypeAlias = Mapping[str, AbstractSet[str]]
_Leaf: TypeAlias = EqualsFilter | OneOfFilter | RangeFilter
_ATTRIBUTES = "attributes."


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterMiss:
    """A part of the request that the document does not satisfy."""

    path: str  # in the request: `filters.all_of[1]`
    field: str  # `knowledge_bases`, `source`, `attributes.status`, ...
    has: tuple[str, ...]  # what the document has there; empty: nothing


def knowledge_base_miss(
    wanted: Sequence[str] | None, knowledge_base: KnowledgeBaseId, *, path: str = "knowledge_bases"
) -> tuple[FilterMiss, ...]:
    """Return the miss of a document that lies in none of the knowledge bases asked for."""
    if wanted is None or knowledge_base in wanted:
        return ()
    return (FilterMiss(path=path, field="knowledge_base", has=(knowledge_base,)),)


def filter_misses(
    model: FilterModel, facts: Facts, attributes: Mapping[str, AttributeValue], *, path: str = "filters"
) -> tuple[FilterMiss, ...]:
    """Return the innermost parts of a filter that keep a document out; none where it is let through.

    `facts` are what the stores compare (headwater.rows.conditions.row_facts), `attributes` the same as people read it.
    """
    return tuple(_misses(model, facts, attributes, path))


def _misses(
    model: FilterModel, facts: Facts, attributes: Mapping[str, AttributeValue], path: str
) -> Iterator[FilterMiss]:
    if _holds(model, facts):
        return
    if isinstance(model, _Leaf):
        yield _miss(model.field, facts, attributes, path)
        return
    kind, parts = _parts(model)
    for number, part in enumerate(parts):
        inner = f"{path}.{kind}[{number}]"
        if not isinstance(model, NotFilter):  # of alternatives any would do: all are named
            yield from _misses(part, facts, attributes, inner)
        elif _holds(part, facts):
            for name in _fields(part):
                yield _miss(name, facts, attributes, inner)


def _holds(model: FilterModel, facts: Facts) -> bool:
    return holds(filter_condition(to_filter(model)), facts)


def _parts(model: AllFilter | AnyFilter | NotFilter) -> tuple[str, Sequence[FilterModel]]:
    match model:
        case AllFilter():
            return "all_of", model.all_of
        case AnyFilter():
            return "any_of", model.any_of
        case NotFilter():
            return "none_of", model.none_of


def _fields(model: FilterModel) -> Iterator[str]:
    if isinstance(model, _Leaf):
        yield model.field
        return
    for part in _parts(model)[1]:
        yield from _fields(part)


def _miss(name: str, facts: Facts, attributes: Mapping[str, AttributeValue], path: str) -> FilterMiss:
    if name.startswith(_ATTRIBUTES):
        value = attributes.get(name.removeprefix(_ATTRIBUTES), ())
        items: Sequence[AttributeScalar] = value if isinstance(value, tuple) else (value,)
        return FilterMiss(path=path, field=name, has=tuple(map(_shown, items)))
    return FilterMiss(path=path, field=name, has=tuple(sorted(facts[name])))


def _shown(value: AttributeScalar) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, datetime) else str(value)
