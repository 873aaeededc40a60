"""A checked filter: what is left of a caller's filter and scope once names and types are known to be good.

The stores' renderers see nothing else, and `holds` says what it means: rows that a store returns satisfy it.
"""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from headwater.errors import PoisonError
from headwater.ports.rows import AllOf, AnyOf, Between, ChunkRow, Equals, Filter, Not, OneOf, Scope
from headwater.rows.facets import ATTRIBUTE_NAME, RANGED, Kind, comparable, facets, token
from schemas.events.documents import AttributeScalar

TEXT_FIELDS: Final = frozenset({"source", "media_type", "language", "document_id", "external_id"})
FACETS: Final = "facets"
ARRAY_FIELDS: Final = frozenset({"readers", "readers_second", FACETS})
MAX_PARTS: Final = 256  # of one filter, all levels together, values counted
MAX_DEPTH: Final = 16

_ATTRIBUTE: Final = re.compile(r"attributes\.(.*)", re.DOTALL)


class FilterError(PoisonError):
    """A filter names an unknown field, compares it with the wrong type, or is too large."""


@dataclass(frozen=True, slots=True)
class Term:
    """A field has one of these values, or an array field contains one of them; without values: nothing."""

    field: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """An attribute has a value of this kind within a closed range; an end may be open. Ends are comparable text."""

    name: str
    kind: Kind
    low: str | None
    high: str | None


@dataclass(frozen=True, slots=True)
class Negation:
    """None of what is inside."""

    inner: "Condition"


@dataclass(frozen=True, slots=True)
class Every:
    """Each of these; empty: everything."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Some:
    """At least one of these; empty: nothing."""

    parts: tuple["Condition", ...]


Condition: TypeAlias = Term | Span | Negation | Every | Some


def filter_condition(where: Filter) -> Condition:
    """Check a filter; raise FilterError with the field and the remedy."""
    size = _size(where, depth=1)
    if size > MAX_PARTS:
        raise FilterError(f"filter: {size} parts and values, at most {MAX_PARTS}; ask for less at once")
    return _condition(where)


def scope_condition(scope: Scope) -> Condition:
    """Return what a row must satisfy to be shown at all: tenant, both sets of readers, knowledge bases, the filter.

    The only place where these are added to a query of a store.
    """
    principals = tuple(sorted(scope.principals))
    parts: list[Condition] = [
        Term("tenant_id", (scope.tenant_id,)),
        Term("readers", principals),
        Term("readers_second", principals),
    ]
    if scope.knowledge_bases is not None:
        parts.append(Term("knowledge_base", tuple(sorted(set(scope.knowledge_bases)))))
    return Every((*parts, filter_condition(scope.where)))


def row_facts(row: ChunkRow) -> Mapping[str, AbstractSet[str]]:
    """Return the values of each field that a condition may name; an absent one has none."""
    single = {
        "row_id": row.row_id,
        "tenant_id": row.tenant_id,
        "knowledge_base": row.knowledge_base,
        "source": row.source,
        "media_type": row.media_type,
        "language": row.language,
        "document_id": row.document_id,
        "external_id": row.external_id,
    }
    facts: dict[str, AbstractSet[str]] = {
        name: frozenset() if value is None else frozenset({value}) for name, value in single.items()
    }
    return facts | {
        "readers": frozenset(row.readers),
        "readers_second": frozenset(row.readers_second),
        FACETS: frozenset(facets(row.attributes)),
    }


def holds(condition: Condition, facts: Mapping[str, AbstractSet[str]]) -> bool:
    """Say whether a row with these facts satisfies the condition: two-valued, an absent value equals nothing."""
    match condition:
        case Term(field, values):
            return not facts[field].isdisjoint(values)
        case Span():
            low, high = span_tokens(condition)
            return any(low <= value <= high for value in facts[FACETS])
        case Negation(inner):
            return not holds(inner, facts)
        case Every(parts):
            return all(holds(part, facts) for part in parts)
        case Some(parts):
            return any(holds(part, facts) for part in parts)


def span_tokens(span: Span) -> tuple[str, str]:
    """Return the first and the last token that a span admits; `g` follows every hexadecimal digit."""
    low = "" if span.low is None else span.low
    high = "g" if span.high is None else span.high
    return token(span.name, span.kind, low), token(span.name, span.kind, high)


def _condition(where: Filter) -> Condition:
    match where:
        case Equals(field, value):
            return _term(field, (value,))
        case OneOf(field, values):
            return _term(field, values)
        case Between(field, low, high):
            return _span(field, low, high)
        case Not(inner):
            return Negation(_condition(inner))
        case AllOf(parts):
            return Every(tuple(_condition(part) for part in parts))
        case AnyOf(parts):
            return Some(tuple(_condition(part) for part in parts))


def _term(field: str, values: tuple[AttributeScalar, ...]) -> Term:
    if field in TEXT_FIELDS:
        return Term(field, tuple(_text(field, value) for value in values))
    name = _attribute_name(field)
    return Term(FACETS, tuple(token(name, *_comparable(field, value)) for value in values))


def _span(field: str, low: AttributeScalar | None, high: AttributeScalar | None) -> Condition:
    name = _attribute_name(field, of=("attributes.NAME",))
    ends = [None if end is None else _comparable(field, end) for end in (low, high)]
    kinds = {end[0] for end in ends if end is not None}
    if len(kinds) != 1 or not kinds <= RANGED:
        raise FilterError(f"{field}: a range needs two numbers or two times, or one of them with the other end open")
    low_text, high_text = (None if end is None else end[1] for end in ends)
    return Span(name, kinds.pop(), low_text, high_text)


def _attribute_name(field: str, *, of: tuple[str, ...] = (*sorted(TEXT_FIELDS), "attributes.NAME")) -> str:
    found = _ATTRIBUTE.fullmatch(field)
    if found is None:
        raise FilterError(f"filter: {field[:80]!r} cannot be filtered this way; use one of {', '.join(of)}")
    if not ATTRIBUTE_NAME.fullmatch(found[1]):
        raise FilterError(f"filter: {field[:80]!r} is not an attribute's name; use letters, digits, `_`, `.` and `-`")
    return found[1]


def _text(field: str, value: AttributeScalar) -> str:
    if not isinstance(value, str):
        raise FilterError(f"{field}: {type(value).__name__} given, text wanted")
    _comparable(field, value)
    return value


def _comparable(field: str, value: AttributeScalar) -> tuple[Kind, str]:
    if not isinstance(value, str | int | float | datetime):
        raise FilterError(f"{field[:80]}: {type(value).__name__} given; use text, a number, a flag or a time")
    try:
        return comparable(value)
    except ValueError as error:
        raise FilterError(f"{field[:80]}: {error}; correct the value") from error


def _size(where: Filter, *, depth: int) -> int:
    if depth > MAX_DEPTH:
        raise FilterError(f"filter: nested deeper than {MAX_DEPTH}; write it flatter")
    match where:
        case Equals() | Between():
            return 1
        case OneOf(_, values):
            return 1 + len(values)
        case Not(inner):
            return 1 + _size(inner, depth=depth + 1)
        case AllOf(parts) | AnyOf(parts):
            return 1 + sum(_size(part, depth=depth + 1) for part in parts)
