"""What pymilvus does with a row's strings once a client was opened."""

from collections.abc import Iterator

from pymilvus.client.prepare import Prepare

from headwater.clients.milvus.collection import chunk_schema
from headwater.clients.milvus.connection import open_client
from headwater.settings import MilvusSettings


class Text(str):
    """A string that nobody may read character by character."""

    __slots__ = ()

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("each character was looked at")


async def test_a_text_is_not_read_character_by_character() -> None:
    schema = chunk_schema(dimension=2, partitioned=False).to_dict()
    values = {"VARCHAR": Text("words"), "INT64": 1, "ARRAY": [Text("a reader")], "JSON": {}, "FLOAT_VECTOR": [0.5, 0.5]}
    row = {field["name"]: values[field["type"].name] for field in schema["fields"]}
    async with open_client(MilvusSettings(url="http://127.0.0.1:1")):
        request = Prepare.row_upsert_param("chunks", [row], "", fields_info=schema["fields"])
    fields = {field.field_name: field for field in request.fields_data}
    assert list(fields["text"].scalars.string_data.data) == ["words"]
    assert list(fields["readers"].scalars.array_data.data[0].string_data.data) == ["a reader"]
