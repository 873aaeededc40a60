"""The source as documents: a listing compared with the cursor, one part of it an item."""

import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from connectors.protocol import Cursor, Deleted, Listing, Observed, Patched, SourceChange, Unnoted, Upserted
from docs.templates.connector.client import ListingError, Page, Pages
from schemas.events.documents import Access, Clause, DocumentPatch, DocumentState
from schemas.ids import KnowledgeBaseId, Principal

PART: Final = "p:"  # before each id: some names of parts are the runner's own


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateConnector:
    """Implements Connector. Its cursor is `version access` for each page, by its id."""

    pages: Pages
    knowledge_base: KnowledgeBaseId

    async def check(self) -> None:
        """See the protocol."""
        await self.pages.check()

    async def changes(self, since: Cursor) -> AsyncIterator[Observed]:
        """Compare the whole listing with the cursor; deletions come last, after all of it.

        Raises ListingError for a listing of nothing where there was something.
        """
        listed: set[str] = set()
        async for page in self.pages.listing():
            if page.page_id not in listed:  # an item that moved between two pages of the listing comes twice
                listed.add(page.page_id)
                for change in self._difference(page, since.get(PART + page.page_id) or None):
                    yield change
        held = {part.removeprefix(PART) for part in since if part.startswith(PART)}
        if held and not listed:
            raise ListingError("lists nothing where there was something; nothing is deleted. See the token's rights")
        listing = Listing(name="", known=len(held), shown=len(listed))
        for page_id in sorted(held - listed):
            yield _deletion(page_id, listing)

    def unknown(self, unnoted: Unnoted, _since: Cursor) -> Mapping[str, bytes | None]:
        """See the protocol: a part that says nothing. This source has no groups."""
        return {PART + each: b"" for each in unnoted.external_ids}

    def _difference(self, page: Page, held: bytes | None) -> list[SourceChange]:
        """Return what to submit of one page. A change of access comes first: it never waits for a content."""
        version, readers = str(page.version), _hash_of(page)
        held_version, _, held_readers = (held or b"").decode().partition(" ")
        found = []
        if held is not None and held_readers != readers:
            patched = Patched(patch=DocumentPatch(access=_access(page)))
            found.append(_change(page, patched, state=f"{held_version} {readers}"))
        if held is None or held_version != version:
            found.append(_change(page, self._upserted(page), state=f"{version} {readers}"))
        return found

    def _upserted(self, page: Page) -> Upserted:
        return Upserted(
            state=DocumentState(
                knowledge_base=self.knowledge_base,
                title=page.title,
                media_type="text/markdown",
                access=_access(page),
            ),
            content=lambda: self.pages.read(page),
        )


def _change(page: Page, what: Upserted | Patched, *, state: str) -> SourceChange:
    return SourceChange(
        external_id=page.page_id,
        what=what,
        source_version=page.version,
        occurred_at=page.changed_at,
        cursor={PART + page.page_id: state.encode()},
    )


def _deletion(page_id: str, listing: Listing) -> SourceChange:
    return SourceChange(
        external_id=page_id,
        what=Deleted(listing=listing),
        source_version=None,  # a listing does not tell it; the order of arrival decides
        occurred_at=datetime.now(UTC),
        cursor={PART + page_id: None},
    )


def _access(page: Page) -> Access:
    """Return one clause a level that must match: here there is one. No readers: no clause, and it is for nobody."""
    return Access(clauses=(Clause(principals=tuple(map(Principal, page.readers))),)) if page.readers else Access()


def _hash_of(page: Page) -> str:
    return hashlib.sha256("\n".join(sorted(page.readers)).encode()).hexdigest()[:16]
