"""What a field's type hint means to the contracts: the one place that conversion and derivation both ask."""

import types
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any, NewType, TypeAlias, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from schemas.errors import ContractError
from schemas.events.directory import DirectoryRecord
from schemas.events.documents import AttributeScalar, AttributeValue

NAMESPACE = "rag"
ONE_OF_NAMES: dict[tuple[Any, ...], str] = {
    get_args(DirectoryRecord): "DirectoryRecord"
}  # an alias has no name of its own
SCALARS: tuple[type, ...] = (str, int, float, bool, bytes, UUID, datetime)


@dataclass(frozen=True, slots=True)
class Scalar:
    """A value without parts: one of `SCALARS`."""

    type: type


@dataclass(frozen=True, slots=True)
class Enumeration:
    """A closed set of texts."""

    type: type[Enum]


@dataclass(frozen=True, slots=True)
class Record:
    """A nested dataclass."""

    type: type


@dataclass(frozen=True, slots=True)
class OneOf:
    """Exactly one of several dataclasses: a record with one nullable field each, so that a new kind can be added."""

    name: str
    types: tuple[type, ...]


@dataclass(frozen=True, slots=True)
class Sequence:
    """`tuple[X, ...]`."""

    item: "Shape"


@dataclass(frozen=True, slots=True)
class Dictionary:
    """`Mapping[str, X]`."""

    value: "Shape"


@dataclass(frozen=True, slots=True)
class Optional:
    """`X | None`."""

    item: "Shape"


@dataclass(frozen=True, slots=True)
class Header:
    """`tuple[str, bytes]`: a Kafka header."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """A document's typed attribute: text, number, flag, time, or a list of these."""


Shape: TypeAlias = Scalar | Enumeration | Record | OneOf | Sequence | Dictionary | Optional | Header | Attribute


def shape_of(hint: Any) -> Shape:
    """Read a type hint. Raises ContractError for one that the contracts have no form for."""
    while isinstance(hint, NewType):
        hint = hint.__supertype__
    if hint in {AttributeValue, AttributeScalar}:
        return Attribute()
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in {Union, types.UnionType}:
        return _union(hint, arguments)
    if origin is tuple:
        return _tuple(hint, arguments)
    if origin is Mapping and arguments[0] is str:
        return Dictionary(shape_of(arguments[1]))
    return _named(hint)


def _named(hint: Any) -> Shape:
    if isinstance(hint, type) and issubclass(hint, Enum):
        return Enumeration(hint)
    if isinstance(hint, type) and is_dataclass(hint):
        return Record(hint)
    if hint in SCALARS:
        return Scalar(hint)
    raise _unsupported(hint)


def _union(hint: Any, arguments: tuple[Any, ...]) -> Shape:
    members = tuple(each for each in arguments if each is not type(None))
    if len(members) == 1:
        inner = shape_of(members[0])
    elif members in ONE_OF_NAMES:
        inner = OneOf(ONE_OF_NAMES[members], members)
    else:
        raise _unsupported(hint)
    return inner if len(members) == len(arguments) else Optional(inner)


def _tuple(hint: Any, arguments: tuple[Any, ...]) -> Shape:
    if arguments == (str, bytes):
        return Header()
    if arguments[1:] == (Ellipsis,):
        return Sequence(shape_of(arguments[0]))
    raise _unsupported(hint)


def _unsupported(hint: Any) -> ContractError:
    return ContractError(
        f"the type {hint!r} has no form in a schema: use a scalar ({', '.join(each.__name__ for each in SCALARS)}), "
        "an Enum, a dataclass, tuple[X, ...], Mapping[str, X], X | None, or describe it in schemas/shapes.py"
    )


@cache
def fields_of(record: type) -> tuple[tuple[str, Shape], ...]:
    """Return the fields of a dataclass in their order, each with its shape."""
    hints = get_type_hints(record)
    return tuple((each.name, shape_of(hints[each.name])) for each in fields(record))


def snake_case(kind: type) -> str:
    """Name a class as files and fields do: `DocumentChanged` -> `document_changed`."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in kind.__name__).lstrip("_")


def full_name(name: str) -> str:
    """Qualify the name of a record."""
    return f"{NAMESPACE}.{name}"
