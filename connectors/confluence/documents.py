"""What a document is, of a content: its id is the content's, whatever it is called and wherever it is moved."""

import hashlib
import json
from collections.abc import Sequence

from connectors.confluence.references import Reference
from connectors.confluence.rest import ATTACHMENT, COMMENT, Content
from headwater.sources.confluence import ConfluenceSettings
from schemas.events.documents import Access, AttributeValue, DocumentPatch, DocumentState, Link
from schemas.ids import KnowledgeBaseId

_HTML = "text/html"


def facts_token(content: Content) -> str:
    """Return what tells whether something beside the body changed: labels and moves have no version."""
    told = [
        content.space.key,
        title_of(content),
        content.labels,
        [[each.id, each.title] for each in content.ancestors],
        _home(content),
    ]
    return _token(told)


def place_token(content: Content) -> str:
    """Return what tells whether a content lies elsewhere: then its links are others, though its body is the same."""
    return _token([content.space.key, _parent(content), _home(content)])


def title_of(content: Content) -> str:
    """Return the title; of a comment that of its page."""
    if content.type == COMMENT and content.container is not None:
        return f"Comment on {content.container.title}" if content.container.title else "Comment"
    return content.title or content.id


def url_of(content: Content, *, settings: ConfluenceSettings) -> str | None:
    """Return where people read it."""
    return settings.url + content.links.webui.lstrip("/") if content.links.webui else None


def attributes_of(content: Content) -> dict[str, AttributeValue]:
    """Return what can be filtered by."""
    made_by = content.history.created_by if content.history is not None else None
    people = {"author": made_by, "edited_by": content.version.by}
    named = {name: user.display_name for name, user in people.items() if user is not None and user.display_name}
    return {
        "type": content.type,
        "space": content.space.key,
        "labels": content.labels,
        "ancestors": tuple(above.title or above.id for above in content.ancestors),
        **named,
    }


def links_of(content: Content, references: Sequence[Reference], *, settings: ConfluenceSettings) -> tuple[Link, ...]:
    """Return the edges of the graph: where the content belongs, and what it refers to."""
    links = []
    if parent := _parent(content):
        links.append(Link(relation="child_of", target=parent))
    if home := _home(content):
        links.append(Link(relation="comments_on" if content.type == COMMENT else "attached_to", target=home))
    for each in references:
        target = each.target.content_id or each.target.url(site_url=settings.url, space=content.space.key)
        links.append(Link(relation=each.relation, target=target or each.target.name))
    return tuple(dict.fromkeys(links))


def state_of(
    content: Content,
    references: Sequence[Reference],
    access: Access,
    *,
    settings: ConfluenceSettings,
    knowledge_base: KnowledgeBaseId,
) -> DocumentState:
    """Describe a content's document."""
    told = content.extensions or content.metadata
    return DocumentState(
        knowledge_base=knowledge_base,
        title=title_of(content),
        url=url_of(content, settings=settings),
        media_type=(told.media_type if told is not None else None) if content.type == ATTACHMENT else _HTML,
        access=access,
        attributes=attributes_of(content),
        links=links_of(content, references, settings=settings),
    )


def metadata_of(state: DocumentState, *, links: bool) -> DocumentPatch:
    """Return what is told beside the content, as a patch. `links`: all of them are known, that of the body as well."""
    return DocumentPatch(
        title=state.title,
        url=state.url,
        access=state.access,
        attributes=state.attributes,
        links=state.links if links else None,
    )


def _token(told: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def _parent(content: Content) -> str:
    """Return the id of the page right above."""
    return content.ancestors[-1].id if content.ancestors else ""


def _home(content: Content) -> str:
    """Return the id of what a comment or an attachment belongs to."""
    is_part = content.type in {COMMENT, ATTACHMENT} and content.container is not None
    return content.container.id if is_part and content.container is not None else ""
