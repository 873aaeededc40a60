"""A generation's collection: its name, its fields, and a row as it lies in them."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from pymilvus import CollectionSchema, DataType, MilvusClient

from headwater.clients.milvus.expressions import ABSENT, folded, highest_key, lowest_key
from headwater.errors import FatalError
from headwater.ports.rows import ChunkRow, Vector
from headwater.rows.facets import MAX_FACETS, RANGED, comparables, facets
from headwater.rows.record import decode_row, encode_row
from headwater.settings import MilvusSettings
from schemas.ids import GenerationName

# All bytes; folding makes up to three of one.
_MAX_ROW_ID: Final = 128
_MAX_NAME: Final = 1_024
_MAX_EXTERNAL_ID: Final = 16_384
_MAX_READER: Final = 4_096
_MAX_TEXT: Final = 65_535  # Milvus' own limit of a VARCHAR
_MAX_READERS: Final = 257  # of one clause: headwater.access.clauses.MAX_ROW_READERS, with room for the wildcard

# What a search reads back: everything but the vector and the filtered fields, which the record repeats.
RECORD_FIELDS: Final = ("text", "record")

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,200}")


def collection_name(settings: MilvusSettings, generation: GenerationName) -> str:
    """Name the collection; raise FatalError where Milvus would not take the name."""
    name = f"{settings.collection_prefix}_chunks_{generation}"
    if not _NAME.fullmatch(name):
        raise FatalError(
            f"{name!r} cannot name a Milvus collection; use letters, digits and `_` in HEADWATER_GENERATION "
            "and HEADWATER_MILVUS__COLLECTION_PREFIX"
        )
    return name


def chunk_schema(*, dimension: int, partitioned: bool) -> CollectionSchema:
    """Return the schema. `partitioned`: by tenant; Milvus Lite refuses every filter over a partition key."""
    schema: CollectionSchema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("row_id", DataType.VARCHAR, is_primary=True, max_length=_MAX_ROW_ID)
    schema.add_field("tenant_id", DataType.VARCHAR, max_length=_MAX_NAME, is_partition_key=partitioned)
    schema.add_field("document_id", DataType.VARCHAR, max_length=_MAX_NAME)
    schema.add_field("revision", DataType.INT64)
    schema.add_field("ordinal", DataType.INT64)
    for name in ("knowledge_base", "source", "media_type", "language"):
        schema.add_field(name, DataType.VARCHAR, max_length=_MAX_NAME)
    schema.add_field("external_id", DataType.VARCHAR, max_length=_MAX_EXTERNAL_ID)
    for name, capacity, length in (
        ("readers", _MAX_READERS, _MAX_READER),
        ("readers_second", _MAX_READERS, _MAX_READER),
        ("facets", MAX_FACETS, _MAX_NAME),
    ):
        schema.add_field(name, DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=capacity, max_length=length)
    schema.add_field("spans", DataType.JSON)
    schema.add_field("text", DataType.VARCHAR, max_length=_MAX_TEXT)
    schema.add_field("record", DataType.VARCHAR, max_length=_MAX_TEXT)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
    return schema


def entity(row: ChunkRow, vector: Vector) -> dict[str, Any]:
    """Return a row as Milvus takes it: filtered fields folded, the text, and all else as one JSON record."""
    record = encode_row(row)
    text = record.pop("text")
    return {
        "row_id": folded(row.row_id),
        "tenant_id": folded(row.tenant_id),
        "document_id": folded(row.document_id),
        "revision": int(row.revision),
        "ordinal": row.ordinal,
        "knowledge_base": folded(row.knowledge_base),
        "source": folded(row.source),
        "media_type": _folded_or_absent(row.media_type),
        "language": _folded_or_absent(row.language),
        "external_id": folded(row.external_id),
        "readers": [folded(reader) for reader in row.readers],
        "readers_second": [folded(reader) for reader in row.readers_second],
        "facets": [folded(facet) for facet in facets(row.attributes)],
        "spans": _spans(row),
        "text": text,
        "record": json.dumps(record, ensure_ascii=False, separators=(",", ":")),
        "vector": vector,
    }


def row_of(found: Mapping[str, Any]) -> ChunkRow:
    """Read a row back from `RECORD_FIELDS`."""
    return decode_row(json.loads(found["record"]) | {"text": found["text"]})


def _folded_or_absent(value: str | None) -> str:
    return ABSENT if value is None else folded(value)


def _spans(row: ChunkRow) -> dict[str, str]:
    """Return the lowest and highest value per attribute and kind: a range over them is exact for a single value."""
    spans: dict[str, str] = {}
    for name, kind, text in comparables(row.attributes):
        if kind in RANGED:
            low, high = lowest_key(name, kind), highest_key(name, kind)
            spans[low] = min(spans.get(low, text), text)
            spans[high] = max(spans.get(high, text), text)
    return spans
