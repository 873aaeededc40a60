"""Random events, built from the type hints of their classes."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from schemas.events.documents import AttributeValue
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
)

_TEXTS = st.text(max_size=20)
_TIMES = st.datetimes(
    min_value=datetime(1, 1, 3),  # noqa: DTZ001 - hypothesis takes bounds without a zone and adds one
    max_value=datetime(9999, 12, 29),  # noqa: DTZ001 - as above
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]),
)
_SCALARS: Mapping[str, st.SearchStrategy[Any]] = {
    "str": _TEXTS,
    "int": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(allow_nan=False),
    "bool": st.booleans(),
    "bytes": st.binary(max_size=40),
    "UUID": st.uuids(),
    "datetime": _TIMES,
}
_ATTRIBUTE_SCALARS: st.SearchStrategy[Any] = st.one_of(
    *(_SCALARS[name] for name in ("str", "int", "float", "bool", "datetime"))
)
ATTRIBUTES: st.SearchStrategy[AttributeValue] = st.one_of(
    _ATTRIBUTE_SCALARS, st.lists(_ATTRIBUTE_SCALARS, max_size=4).map(tuple)
)


def events(kind: type) -> st.SearchStrategy[Any]:
    """Any instance of a dataclass of the contracts."""
    return st.builds(kind, **{name: _values(shape) for name, shape in fields_of(kind)})


def _values(shape: Shape) -> st.SearchStrategy[Any]:
    values: st.SearchStrategy[Any]
    match shape:
        case Scalar(kind):
            values = _SCALARS[kind.__name__]
        case Enumeration(kind):
            values = st.sampled_from(list(kind))
        case Record(kind):
            values = events(kind)
        case OneOf(name=_, types=kinds):
            values = st.one_of(*(events(kind) for kind in kinds))
        case Sequence(item):
            values = st.lists(_values(item), max_size=3).map(tuple)
        case Dictionary(value):
            values = st.dictionaries(_TEXTS, _values(value), max_size=3)
        case Optional(item):
            values = st.none() | _values(item)
        case Header():
            values = st.tuples(_TEXTS, st.binary(max_size=10))
        case Attribute():
            values = ATTRIBUTES
    return values
