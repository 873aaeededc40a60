"""Dataclasses to plain values and back, in whichever form is asked for.

A converter is compiled once a class, at first use, into closures; `None` stands for "as it is", so that texts and
numbers cost no call.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, TypeAlias

from schemas.errors import ContractError
from schemas.shapes import (
    Attribute,
    Dictionary,
    Enumeration,
    Header,
    OneOf,
    Optional,
    Record,
    Scalar,
    Sequence,
    Shape,
    fields_of,
    full_name,
    snake_case,
)

Convert: TypeAlias = Callable[[Any], Any]
Converter: TypeAlias = Convert | None


@dataclass(frozen=True, slots=True)
class Pair:
    """Both directions for one shape."""

    dump: Converter
    load: Converter


@dataclass(frozen=True, slots=True)
class Form:
    """What sets one plain form apart from the other.

    `scalars` convert the scalar types that are not kept as they are; `named` wraps a record's plain value where it is
    optional; `attribute` converts a document's attribute values.
    """

    scalars: Mapping[type, Pair]
    attribute: Pair
    named: Callable[[str, Any], Any]


class Conversion:
    """Converts every event, and every record inside one, to one form and back."""

    def __init__(self, form: Form) -> None:
        self._form = form
        self._records: dict[type, tuple[Convert, Convert]] = {}

    def dump(self, value: Any) -> dict[str, Any]:
        """Return the plain form. Raises ContractError naming the field that does not fit."""
        plain: dict[str, Any] = self._record(type(value))[0](value)
        return plain

    def load(self, plain: Mapping[str, Any], kind: type) -> Any:
        """Return an instance of `kind`. Raises ContractError naming the field that does not fit."""
        return self._record(kind)[1](plain)

    def _record(self, kind: type) -> tuple[Convert, Convert]:
        known = self._records.get(kind)
        if known is None:
            known = self._records[kind] = self._compile(kind)
        return known

    def _compile(self, kind: type) -> tuple[Convert, Convert]:
        shapes = fields_of(kind)
        names = tuple(name for name, _ in shapes)
        pairs = [(name, self._pair(shape)) for name, shape in shapes]
        return (
            _dumper(kind, names, tuple((name, pair.dump) for name, pair in pairs if pair.dump)),
            _loader(kind, names, tuple((name, pair.load) for name, pair in pairs if pair.load)),
        )

    def _pair(self, shape: Shape) -> Pair:
        match shape:
            case Scalar(kind):
                pair = self._form.scalars.get(kind, Pair(None, None))
            case Enumeration(kind):
                pair = Pair(None, _member_loader(kind))
            case Record(kind):
                pair = Pair(*self._record(kind))
            case OneOf(name=_, types=kinds):
                pair = self._one_of(kinds)
            case Sequence(item):
                inner = self._pair(item)
                pair = Pair(_list_dumper(inner.dump), _tuple_loader(inner.load))
            case Dictionary(value):
                inner = self._pair(value)
                pair = Pair(_values(inner.dump), _values(inner.load))
            case Optional(item):
                pair = self._optional(item)
            case Header():
                raw = self._form.scalars.get(bytes, Pair(None, None))
                pair = Pair(_header_dumper(raw.dump), _header_loader(raw.load))
            case Attribute():
                pair = self._form.attribute
        return pair

    def _optional(self, item: Shape) -> Pair:
        inner = self._pair(item)
        dump = inner.dump
        if dump is not None and isinstance(item, Record | OneOf):
            named, convert = self._form.named, dump
            name = full_name(item.name if isinstance(item, OneOf) else item.type.__name__)

            def dump(value: Any) -> Any:
                return named(name, convert(value))

        return Pair(_unless_none(dump), _unless_none(inner.load))

    def _one_of(self, kinds: tuple[type, ...]) -> Pair:
        branches = {kind: (snake_case(kind), *self._record(kind)) for kind in kinds}
        named = self._form.named

        def dump(value: Any) -> dict[str, Any]:
            field, convert, _ = branches[type(value)]
            return {field: named(full_name(type(value).__name__), convert(value))}

        def load(plain: Mapping[str, Any]) -> Any:
            given = [convert(plain[field]) for field, _, convert in branches.values() if plain.get(field) is not None]
            if len(given) != 1:
                names = ", ".join(field for field, _, _ in branches.values())
                raise ContractError(f"exactly one of {names} must be set, not {len(given)}")
            return given[0]

        return Pair(dump, load)


def _dumper(kind: type, names: tuple[str, ...], converters: tuple[tuple[str, Convert], ...]) -> Convert:
    values = attrgetter(*names) if len(names) > 1 else lambda record, get=attrgetter(*names): (get(record),)

    def dump(record: Any) -> dict[str, Any]:
        plain = dict(zip(names, values(record), strict=True))
        for name, convert in converters:
            try:
                plain[name] = convert(plain[name])
            except (TypeError, ValueError, KeyError, AttributeError) as error:
                raise _misfit(kind, name, error) from error
        return plain

    return dump


def _loader(kind: type, names: tuple[str, ...], converters: tuple[tuple[str, Convert], ...]) -> Convert:
    def load(plain: Mapping[str, Any]) -> Any:
        arguments = dict(plain)
        for name, convert in converters:
            if name not in arguments:
                continue
            try:
                arguments[name] = convert(arguments[name])
            except (TypeError, ValueError, KeyError, AttributeError) as error:
                raise _misfit(kind, name, error) from error
        try:
            return kind(**arguments)
        except TypeError as error:
            raise ContractError(f"{kind.__name__} takes the fields {', '.join(names)}: {error}") from error

    return load


def _misfit(kind: type, name: str, error: Exception) -> ContractError:
    reason = str(error) if isinstance(error, ContractError) else f"{type(error).__name__}: {error}"
    return ContractError(f"{kind.__name__}.{name}: {reason}")


def _member_loader(kind: Any) -> Convert:
    members = {member.value: member for member in kind}

    def load(value: Any) -> Any:
        member = members.get(value)
        if member is None:
            raise ContractError(f"{value!r} is none of {', '.join(members)}: the producer is newer than this consumer")
        return member

    return load


def _list_dumper(convert: Converter) -> Convert:
    if convert is None:
        return list
    each = convert
    return lambda values: [each(value) for value in values]


def _tuple_loader(convert: Converter) -> Convert:
    if convert is None:
        return tuple
    each = convert
    return lambda values: tuple([each(value) for value in values])


def _values(convert: Converter) -> Convert:
    if convert is None:
        return dict
    each = convert
    return lambda mapping: {key: each(value) for key, value in mapping.items()}


def _unless_none(convert: Converter) -> Converter:
    if convert is None:
        return None
    each = convert
    return lambda value: None if value is None else each(value)


def _header_dumper(convert: Converter) -> Convert:
    return lambda header: {"key": header[0], "value": convert(header[1]) if convert else header[1]}


def _header_loader(convert: Converter) -> Convert:
    return lambda plain: (plain["key"], convert(plain["value"]) if convert else plain["value"])
