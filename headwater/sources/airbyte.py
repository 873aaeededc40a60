"""What a source of kind `airbyte` says in the directory."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, Field

from headwater.sources.base import SourceSettings
from headwater.sources.rules import PrefixRules
from headwater.sources.setting_types import FROM_YAML


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


# Where a field of a record is: names parted by dots, each of a table inside the one before.
FieldPath: TypeAlias = Annotated[str, Field(min_length=1, pattern=r"^[^.]+(\.[^.]+)*$")]
FieldPaths: TypeAlias = Annotated[tuple[FieldPath, ...], BeforeValidator(_several), Field(min_length=1)]


class StreamSettings(BaseModel, frozen=True, extra="forbid"):
    """Which fields of a stream's records make a document."""

    id: FieldPaths  # together they tell a document from all others of the stream, for ever
    text: FieldPaths  # one after the other, with an empty line between; what is missing is passed over
    title: FieldPath | None = None  # none, or empty: the id
    url: FieldPath | None = None
    updated: FieldPath | None = None  # when it changed at the source: ISO 8601, or seconds since 1970
    deleted: FieldPath | None = None  # anything but nothing, false and an empty text: the document is gone
    media_type: str = "text/plain"
    attributes: dict[str, FieldPath] = Field(default_factory=dict)
    mode: Literal["full", "incremental"] = "full"
    cursor: FieldPath | None = None  # for an incremental stream whose reader leaves the choice of the field to others


class AirbyteSettings(SourceSettings):
    """`reader` is a name of HEADWATER_CONNECTORS__READERS; `config` what that reader takes, less its secrets."""

    reader: str
    config: Annotated[dict[str, Any], FROM_YAML] = Field(default_factory=dict)
    streams: Annotated[dict[str, StreamSettings], FROM_YAML] = Field(min_length=1)
    access: Annotated[PrefixRules | None, FROM_YAML] = None  # prefixes are of external ids, `STREAM/ID`; None: nobody
