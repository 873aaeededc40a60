"""How a path names a document: by source and external id, the latter in base64url."""

import base64
import binascii
from dataclasses import dataclass
from typing import Annotated, Final, TypeAlias

from fastapi import Path
from pydantic import AfterValidator

from schemas.ids import DocumentId, SourceId, TenantId, document_id

MAX_EXTERNAL_ID_CHARS: Final = 1_024


@dataclass(frozen=True, slots=True)
class Address:
    """A document as its source names it."""

    source: SourceId
    external_id: str

    def document_id(self, tenant: TenantId) -> DocumentId:
        """Return the opaque id that all else uses."""
        return document_id(tenant, self.source, self.external_id)


def decode_external_id(encoded: str) -> str:
    """Return the external id behind its base64url form; raise ValueError for anything else."""
    plain = encoded.rstrip("=")
    try:
        external_id = base64.b64decode(plain + "=" * (-len(plain) % 4), b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError("not base64url of UTF-8 text: `wiki/page 1` is written `d2lraS9wYWdlIDE`") from error
    if not 0 < len(external_id) <= MAX_EXTERNAL_ID_CHARS:
        raise ValueError(f"must have 1 to {MAX_EXTERNAL_ID_CHARS} characters")
    return external_id


def encode_external_id(external_id: str) -> str:
    """Return the form that paths take."""
    return base64.urlsafe_b64encode(external_id.encode()).decode().rstrip("=")


SourcePath: TypeAlias = Annotated[
    SourceId, Path(description="The API source that the document belongs to.", max_length=128, examples=["api"])
]
ExternalIdPath: TypeAlias = Annotated[
    str,
    Path(description="The document's id at its source, in base64url without padding.", examples=["d2lraS9wYWdlIDE"]),
    AfterValidator(decode_external_id),
]
