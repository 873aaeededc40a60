"""The two forms of a PUT: JSON with text, or multipart with a `document` part (metadata) and a `content` part."""

import json
from collections.abc import AsyncIterator
from typing import TypeVar

from fastapi import Request
from pydantic import TypeAdapter, ValidationError

from query_api.documents.content import ContentStore, StoredContent
from query_api.documents.multipart import Part, multipart_parts
from query_api.documents.schemas import DocumentPut, Metadata
from query_api.field_names import field_name, place_of
from query_api.problems import ContentTooLargeError, InvalidRequestError, UnsupportedBodyError
from schemas.ids import TenantId

METADATA_PART, CONTENT_PART = "document", "content"
MAX_METADATA_BYTES = 1024 * 1024
BodyT = TypeVar("BodyT")

OPENAPI_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/DocumentPut"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [METADATA_PART, CONTENT_PART],
                    "properties": {
                        METADATA_PART: {"$ref": "#/components/schemas/Metadata"},
                        CONTENT_PART: {"type": "string", "format": "binary"},
                    },
                },
                "encoding": {METADATA_PART: {"contentType": "application/json"}},
            },
        },
    }
}


async def read_upload(request: Request, store: ContentStore, tenant: TenantId) -> tuple[Metadata, StoredContent]:
    """Read a PUT's body; the content is durable on return. Raise what the body's form or fields deserve."""
    content_type = request.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _read_multipart(content_type, request.stream(), store, tenant)
    if kind == "application/json":
        body = parse_json(TypeAdapter(DocumentPut), await request.body())
        return body, await store.store_text(tenant, body.text, declared=body.media_type)
    raise UnsupportedBodyError(
        "Content-Type: send application/json with `text`, or multipart/form-data with `document` and `content`",
        field="Content-Type",
    )


def parse_json(adapter: TypeAdapter[BodyT], raw: bytes, *, within: str = "") -> BodyT:
    """Read JSON into a model; raise InvalidRequestError naming the first field that is wrong."""
    try:
        return adapter.validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        path = [part for part in (within, *place_of(first, _readable(raw))) if part != ""]
        name = field_name(path) or "body"
        raise InvalidRequestError(f"{name}: {first['msg']}", field=name) from error


def _readable(raw: bytes) -> object:
    try:
        return json.loads(raw)
    except ValueError:
        return None


async def _read_multipart(
    content_type: str, body: AsyncIterator[bytes], store: ContentStore, tenant: TenantId
) -> tuple[Metadata, StoredContent]:
    metadata: Metadata | None = None
    content: StoredContent | None = None
    async for part in multipart_parts(content_type, body):
        if part.name == METADATA_PART and metadata is None:
            metadata = parse_json(TypeAdapter(Metadata), await _read_small(part), within=METADATA_PART)
        elif part.name == CONTENT_PART and content is None:
            declared = part.content_type or (metadata.media_type if metadata else None)
            content = await store.store(tenant, part.data, declared=declared, name=part.file_name)
        else:
            raise InvalidRequestError(
                f"body: one part {METADATA_PART!r} and one part {CONTENT_PART!r} are taken, nothing else", field="body"
            )
    if metadata is None or content is None:
        missing = METADATA_PART if metadata is None else CONTENT_PART
        raise InvalidRequestError(f"{missing}: the part is missing", field=missing)
    return metadata, content


async def _read_small(part: Part) -> bytes:
    raw = b""
    async for data in part.data:
        raw += data
        if len(raw) > MAX_METADATA_BYTES:
            raise ContentTooLargeError(f"{part.name}: more than {MAX_METADATA_BYTES} bytes", field=part.name)
    return raw
