"""The Avro schema that a class asks for. The committed `.avsc` files are the contract; a test holds the two equal."""

import dataclasses
import inspect
from enum import Enum
from typing import Any, TypeAlias, cast

from schemas.conversion import AVRO
from schemas.errors import ContractError
from schemas.shapes import (
    NAMESPACE,
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

Schema: TypeAlias = Any  # Avro's JSON: a name, a union's list or a definition

_SCALARS: dict[str, Schema] = {
    "str": "string",
    "int": "long",
    "float": "double",
    "bool": "boolean",
    "bytes": "bytes",
    "UUID": {"type": "string", "logicalType": "uuid"},
    "datetime": {"type": "long", "logicalType": "timestamp-micros"},
}


def derive_schema(event_type: type) -> dict[str, Any]:
    """Return the schema of an event: a self-contained record in the namespace `rag`."""
    return cast("dict[str, Any]", _Derivation().record(event_type))


class _Derivation:
    """One schema in the making: a named type is defined where it first occurs and referred to afterwards."""

    def __init__(self) -> None:
        self._defined: set[str] = set()

    def record(self, kind: type) -> Schema:
        return self._define(
            kind.__name__,
            inspect.getdoc(kind) or "",
            lambda: [self._field(kind, name, shape) for name, shape in fields_of(kind)],
        )

    def _define(self, name: str, doc: str, make_fields: Any) -> Schema:
        if name in self._defined:
            return full_name(name)
        self._defined.add(name)
        return {"type": "record", "name": name, "namespace": NAMESPACE, "doc": doc, "fields": make_fields()}

    def _field(self, kind: type, name: str, shape: Shape) -> dict[str, Any]:
        field = {"name": name, "type": self._type(shape)}
        default = _default(kind, name)
        return field if default is dataclasses.MISSING else {**field, "default": default}

    def _type(self, shape: Shape) -> Schema:
        schema: Schema
        match shape:
            case Scalar(kind):
                schema = _SCALARS[kind.__name__]
            case Enumeration(kind):
                schema = {"type": "string", "allowed": [member.value for member in kind]}
            case Record(kind):
                schema = self.record(kind)
            case OneOf(name, kinds):
                doc = "Exactly one field is set. A new kind is a new field, which older readers skip."
                schema = self._define(name, doc, lambda: [self._branch(kind) for kind in kinds])
            case Sequence(item):
                schema = {"type": "array", "items": self._type(item)}
            case Dictionary(value):
                schema = {"type": "map", "values": self._type(value)}
            case Optional(item):
                schema = ["null", self._type(item)]
            case Header():
                fields = [{"name": "key", "type": "string"}, {"name": "value", "type": "bytes"}]
                schema = self._define("Header", "A Kafka header.", lambda: fields)
            case Attribute():
                schema = self._attribute()
        return schema

    def _branch(self, kind: type) -> dict[str, Any]:
        return {"name": snake_case(kind), "type": ["null", self.record(kind)], "default": None}

    def _attribute(self) -> Schema:
        at = [{"name": "at", "type": _SCALARS["datetime"]}]
        scalars = ["string", "long", "double", "boolean", self._define("Instant", "A point in time.", lambda: at)]
        items = [*scalars[:-1], full_name("Instant")]
        return [*scalars, {"type": "array", "items": items}]


def _default(kind: type, name: str) -> Any:
    """Return a field's default in Avro's JSON; for a nullable field it is null, the first branch of its union."""
    field = next(each for each in dataclasses.fields(kind) if each.name == name)
    if field.default is not dataclasses.MISSING:
        value = field.default
    elif field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    else:
        return dataclasses.MISSING
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | dict) and not value:
        return [] if isinstance(value, tuple) else {}
    if dataclasses.is_dataclass(value):
        return AVRO.dump(value)
    raise ContractError(
        f"{kind.__name__}.{name}: the default {value!r} has no form in a schema: use an empty or plain one"
    )
