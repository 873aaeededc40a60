"""Sidecars: `.headwater/access/KEY` says a rule for the object KEY. Listed beside the objects, in the same order."""

from collections.abc import AsyncIterator, Sequence

from connectors.rules import MAX_RULE_BYTES, FolderRuleError
from headwater.errors import PoisonError
from headwater.ports.objects import ListedObject, Objects


class Sidecars:
    """Walks the sidecars while the objects are walked: two listings in one order, a page of each in memory."""

    def __init__(self, pages: AsyncIterator[Sequence[ListedObject]], folder: str) -> None:
        self._pages, self._folder = pages, folder
        self._page: Sequence[ListedObject] = ()
        self._place = 0

    async def of(self, key: str) -> ListedObject | None:
        """Return the sidecar of a key, below the connected prefix; keys are asked for in order."""
        while True:
            while self._place < len(self._page):
                found = self._page[self._place]
                named = found.key.removeprefix(self._folder)
                if named >= key:
                    return found if named == key else None
                self._place += 1
            page = await anext(self._pages, None)
            if page is None:
                return None
            self._page, self._place = page, 0


class RuleUnreadError(FolderRuleError):
    """A rule that is there and could not be read. What was said of it may end without the rule being another."""


async def rule_bytes(objects: Objects, listed: ListedObject) -> bytes:
    """Read a rule whole. Raise FolderRuleError where it is none, RuleUnreadError where it cannot be read."""
    if listed.size_bytes > MAX_RULE_BYTES:
        raise FolderRuleError(f"{listed.key}: larger than {MAX_RULE_BYTES} bytes; name groups instead of users")
    try:
        return b"".join([piece async for piece in objects.read(listed)])
    except PoisonError as error:
        raise RuleUnreadError(f"{listed.key}: cannot be read: {error}") from error
