"""A source in memory for the contract suite. A real connector's is a server that speaks the source's API."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count

from docs.templates.connector.client import Page
from docs.templates.connector.connector import TemplateConnector
from headwater.errors import PoisonError, RetryableError, UnauthorisedError
from schemas.ids import KnowledgeBaseId

EPOCH = datetime(2026, 3, 2, tzinfo=UTC)


class OtherVersionError(PoisonError):
    """The page is gone, or is not as it was listed."""


class ListingBrokenError(RetryableError):
    """The source ends a listing in its middle."""


@dataclass(slots=True)
class MemorySource:
    """Implements Pages and SourceHarness: a page's id is its name."""

    pages: dict[str, tuple[Page, str]] = field(default_factory=dict)
    shares: dict[str, tuple[str, ...]] = field(default_factory=dict)
    acts: dict[str, Callable[[], None]] = field(default_factory=dict)
    downloads: int = 0
    shown: int | None = None  # how much of a listing is shown
    fails: bool = False
    repeats: bool = False
    expired: bool = False
    now: datetime = EPOCH
    _versions: "count[int]" = field(default_factory=lambda: count(1))

    @property
    def lacks(self) -> Mapping[str, str]:
        """Nothing. What means nothing for your source is left out here, with the reason."""
        return {}

    def connector(self) -> TemplateConnector:
        return TemplateConnector(pages=self, knowledge_base=KnowledgeBaseId("wiki"))

    async def check(self) -> None:
        """Nothing can be missing."""

    async def listing(self) -> AsyncIterator[Page]:
        self._admit()
        for name in sorted(self.pages)[: self.shown] * (2 if self.repeats else 1):
            if name in self.pages:
                yield self.pages[name][0]
        if self.fails:
            raise ListingBrokenError("the source ended the listing")

    async def read(self, page: Page) -> AsyncIterator[bytes]:
        self._admit()
        self.downloads += 1
        if act := self.acts.pop(page.page_id, None):
            act()
        now, text = self.pages.get(page.page_id, (None, ""))
        if now is None or now.version != page.version:
            raise OtherVersionError(f"{page.page_id}: is not as it was listed")
        yield text.encode()

    def _admit(self) -> None:
        if self.expired:
            raise UnauthorisedError("secrets.token: has expired")

    def put(self, name: str, text: str) -> None:
        page = Page(
            page_id=name,
            title=name,
            version=next(self._versions),
            changed_at=self.now,
            readers=self.shares.get(name, ()),
        )
        self.pages[name] = (page, text)

    def put_late(self, name: str, text: str) -> None:
        self.put(name, text)
        page, _ = self.pages[name]
        self.pages[name] = (replace(page, changed_at=self.now - timedelta(days=1)), text)

    def repeat_items(self) -> None:
        self.repeats = True

    def set_clock(self, ahead: timedelta) -> None:
        self.now = EPOCH + ahead

    def expire(self) -> None:
        self.expired = True

    def renew(self) -> None:
        self.expired = False

    def rename(self, old: str, new: str) -> None:
        _, text = self.pages.pop(old)
        self.put(new, text)

    def delete(self, name: str) -> None:
        del self.pages[name]

    def share(self, name: str, readers: Sequence[str]) -> None:
        self.shares[name] = tuple(readers)
        if name in self.pages:
            page, text = self.pages[name]
            self.pages[name] = (replace(page, readers=tuple(readers)), text)

    def before_read(self, name: str, act: Callable[[], None]) -> None:
        self.acts[name] = act

    def break_listing(self) -> None:
        self.shown, self.fails = 2, True

    def empty_listing(self) -> None:
        self.shown = 0

    def mend(self) -> None:
        self.shown, self.fails = None, False

    def truth(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        return {name: (text, page.readers) for name, (page, text) in self.pages.items()}

    def name_of(self, external_id: str) -> str:
        return external_id
