"""Filters as callers write them. Values stay values: they never become a store's query language."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final, TypeAlias, assert_never

from pydantic import BaseModel, Discriminator, Field, StrictBool, StrictFloat, StrictInt, Tag, model_validator

from headwater.ports.rows import AllOf, AnyOf, Between, Equals, Filter, Not, OneOf
from query_api.problems import InvalidRequestError

MAX_DEPTH: Final = 5
MAX_PARTS: Final = 50
MAX_VALUES: Final = 200

FieldName = Annotated[
    str,
    Field(
        pattern=r"^(source|media_type|language|document_id|external_id|attributes\.[A-Za-z_][A-Za-z0-9_]{0,63})$",
        examples=["attributes.status"],
    ),
]
Scalar: TypeAlias = StrictBool | StrictInt | StrictFloat | datetime | Annotated[str, Field(max_length=1_000)]


class EqualsFilter(BaseModel, frozen=True, extra="forbid"):
    """A field has this value, or an array contains it."""

    field: FieldName
    equals: Scalar


class OneOfFilter(BaseModel, frozen=True, extra="forbid"):
    """A field has one of these values."""

    field: FieldName
    one_of: tuple[Scalar, ...] = Field(min_length=1, max_length=MAX_VALUES)


class RangeFilter(BaseModel, frozen=True, extra="forbid"):
    """A field lies in a closed range; one end may be left out."""

    field: FieldName
    at_least: Scalar | None = None
    at_most: Scalar | None = None

    @model_validator(mode="after")
    def _has_an_end(self) -> "RangeFilter":
        if self.at_least is None and self.at_most is None:
            raise ValueError("give at_least, at_most or both")
        return self


class NotFilter(BaseModel, frozen=True, extra="forbid"):
    """The opposite."""

    none_of: tuple["FilterModel", ...] = Field(min_length=1, max_length=MAX_PARTS)


class AllFilter(BaseModel, frozen=True, extra="forbid"):
    """Every one of these."""

    all_of: tuple["FilterModel", ...] = Field(min_length=1, max_length=MAX_PARTS)


class AnyFilter(BaseModel, frozen=True, extra="forbid"):
    """At least one of these."""

    any_of: tuple["FilterModel", ...] = Field(min_length=1, max_length=MAX_PARTS)


def _kind_of(value: object) -> str | None:
    """Tell a filter by the field that it alone has: what is wrong with it is said of the kind that was meant."""
    given = value if isinstance(value, Mapping) else getattr(type(value), "model_fields", {})
    kinds = {"at_least": "range", "at_most": "range"}
    return next((f"{kinds.get(name, name)} filter" for name in _TELLING if name in given), None)


_TELLING: Final = ("equals", "one_of", "at_least", "at_most", "none_of", "all_of", "any_of")
FilterModel: TypeAlias = Annotated[
    Annotated[EqualsFilter, Tag("equals filter")]
    | Annotated[OneOfFilter, Tag("one_of filter")]
    | Annotated[RangeFilter, Tag("range filter")]
    | Annotated[NotFilter, Tag("none_of filter")]
    | Annotated[AllFilter, Tag("all_of filter")]
    | Annotated[AnyFilter, Tag("any_of filter")],
    Discriminator(_kind_of, custom_error_type="filter_kind", custom_error_message=f"give one of {', '.join(_TELLING)}"),
]
for _model in (NotFilter, AllFilter, AnyFilter):
    _model.model_rebuild()


def to_filter(model: FilterModel, *, depth: int = 0) -> Filter:
    """Turn a request's filter into the stores' own; raise InvalidRequestError where it is nested too deeply."""
    if depth > MAX_DEPTH:
        raise InvalidRequestError(f"filters are nested more than {MAX_DEPTH} deep", field="filters")
    match model:
        case EqualsFilter():
            return Equals(model.field, model.equals)
        case OneOfFilter():
            return OneOf(model.field, model.one_of)
        case RangeFilter():
            return Between(model.field, model.at_least, model.at_most)
        case NotFilter():
            return Not(AnyOf(tuple(to_filter(part, depth=depth + 1) for part in model.none_of)))
        case AllFilter():
            return AllOf(tuple(to_filter(part, depth=depth + 1) for part in model.all_of))
        case AnyFilter():
            return AnyOf(tuple(to_filter(part, depth=depth + 1) for part in model.any_of))
        case _:
            assert_never(model)
