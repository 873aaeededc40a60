"""What a document is, of an object: its id is the whole key, its title the last part of it."""

import hashlib
from pathlib import PurePosixPath

from headwater.ports.objects import ListedObject
from headwater.sources.objects import ObjectsSettings
from schemas.events.documents import Access, DocumentState
from schemas.ids import KnowledgeBaseId


def content_token(listed: ListedObject) -> str:
    """Return what tells whether the content changed: ETag, size and the second it was stored.

    An ETag names a state of the content and is nothing else: of a multipart upload it is no hash of it, so the same
    content in other parts is read again, and dropped as unchanged by admission. The time is for what was deleted or
    overwritten and stored again as it was, when a crash kept that from the cursor.
    """
    stored_s = int(listed.modified_at.timestamp())  # a look tells seconds, some listings milliseconds
    return hashlib.sha256(f"{listed.etag}\0{listed.size_bytes}\0{stored_s}".encode()).hexdigest()[:16]


def document_state(
    listed: ListedObject, *, settings: ObjectsSettings, knowledge_base: KnowledgeBaseId, access: Access
) -> DocumentState:
    """Describe an object's document; the content decides about its type."""
    name = PurePosixPath(listed.key.rstrip("/") or listed.key)
    title = "".join(each if each.isprintable() else " " for each in name.stem)
    return DocumentState(
        knowledge_base=knowledge_base,
        title=title.replace("-", " ").replace("_", " ").strip() or listed.key,
        # As the store's own tools write it: nothing is encoded.
        url=f"{settings.root}/{listed.key}",
        access=access,
        attributes={"path": listed.key, "extension": name.suffix.lower(), "bucket": settings.bucket},
    )
