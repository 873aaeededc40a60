"""Contents with their bodies: what is submitted of a page, a comment, an attachment."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from connectors.confluence.documents import state_of, title_of
from connectors.confluence.references import Reference, Target
from connectors.confluence.rest import ATTACHMENT, Content
from connectors.confluence.site import Site
from connectors.confluence.storage import document, mentioned, rendered
from connectors.protocol import Upserted
from headwater.content.media_types import READABLE, MediaType
from headwater.errors import PoisonError
from schemas.events.documents import Access, DocumentState
from schemas.ids import KnowledgeBaseId

_UNTOLD: Final = frozenset({"", MediaType.BINARY.value})
_READABLE: Final = frozenset(kind.value for kind in READABLE)


class AttachmentTooLargeError(PoisonError):
    """An attachment above the connection's limit."""


def is_readable(content: Content) -> bool:
    """Say whether a content can become text: attachments that are pictures, films or archives cannot."""
    if content.type != ATTACHMENT:
        return True
    told = content.extensions or content.metadata
    media_type = (told.media_type if told is not None else None) or ""
    return media_type in _UNTOLD or media_type in _READABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Reads bodies. Accounts that are mentioned are asked for once."""

    site: Site
    knowledge_base: KnowledgeBaseId
    names: dict[Target, str]

    async def written(self, content: Content, storage: str, access: Access) -> Upserted:
        """Return a page, blog post or comment as it is submitted."""
        for target in sorted(mentioned(storage) - self.names.keys(), key=lambda each: each.name):
            self.names[target] = await self.site.display_name(target.account())
        body = rendered(storage, site_url=self.site.settings.url, space=content.space.key, names=self.names)
        state = self.state(content, access, body.references)
        return Upserted(state=state, content=_once(document(title_of(content), [body.html])))

    def attached(self, content: Content, access: Access) -> Upserted:
        """Return an attachment as it is submitted: its bytes are read when they are stored.

        Raises AttachmentTooLargeError.
        """
        settings = self.site.settings
        size = content.extensions.file_size if content.extensions is not None else None
        if size is not None and size > settings.max_bytes:
            raise AttachmentTooLargeError(
                f"{content.title}: {size} bytes, at most {settings.max_bytes}; raise max_bytes or leave it out"
            )
        return Upserted(state=self.state(content, access), content=lambda: self.site.download(content))

    def state(self, content: Content, access: Access, references: Sequence[Reference] = ()) -> DocumentState:
        """Return what is said of a content. Its links are complete with the references of its body."""
        return state_of(content, references, access, settings=self.site.settings, knowledge_base=self.knowledge_base)


def _once(raw: bytes) -> Callable[[], AsyncIterator[bytes]]:
    async def read() -> AsyncIterator[bytes]:
        yield raw

    return read
