"""Whose a content is, judged once a pass: comments and attachments are their page's readers'."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from connectors.confluence.access import PermissionsUnknownError, Readers, Restrictions, access_token, groups_of
from connectors.confluence.rest import BLOG_POST, PAGE, Content, GroupRef, SpaceRef
from connectors.confluence.site import Site
from connectors.parts import Parts
from headwater.errors import PoisonError
from schemas.events.documents import NOBODY, Access

_DEEPEST: Final = 8  # a reply to a comment on an attachment of a page is three


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """An access, the groups that it names, and why it is nobody's where it cannot be told."""

    access: Access
    token: str
    groups: Sequence[GroupRef] = ()
    error: PermissionsUnknownError | None = None


class Judge:
    """Judges contents of one pass."""

    def __init__(self, site: Site, readers: Readers) -> None:
        self._site, self._readers = site, readers
        self._restrictions = Restrictions(site)
        self._homes = _Homes()  # for what belongs to them
        self._same: dict[Access, Judged] = {}  # one object for each access that is met: most pages share one

    async def enter(self, space: SpaceRef) -> None:
        """Prepare for a space, and forget the one before. Raises PoisonError where it cannot be listed."""
        self._homes = _Homes()
        await self._restrictions.enter(space)

    async def judged(self, content: Content) -> Judged | None:
        """Return whose a content is; None where what it belongs to is gone or not to be viewed."""
        if content.type in {PAGE, BLOG_POST}:
            found = await self._of_page(content)
            self._homes.keep(content.id, found)
            return found
        return await self._of_part(content)

    async def _of_page(self, content: Content) -> Judged:
        try:
            restrictions = await self._restrictions.above_and_of(content)
            access = self._readers.access(content.space.key, restrictions)
        except PermissionsUnknownError as error:
            return Judged(access=NOBODY, token=access_token(NOBODY), error=error)
        fresh = Judged(access=access, token=access_token(access), groups=groups_of(restrictions))
        return self._same.setdefault(access, fresh)

    async def _of_part(self, content: Content) -> Judged | None:
        for _ in range(_DEEPEST):
            home = content.container.id if content.container is not None else ""
            if not home:
                return None
            if (known := self._homes.of(home)) is not None:
                return known
            try:
                above = await self._site.content(home)
            except PoisonError as error:
                unknown = PermissionsUnknownError(f"what {content.id} belongs to cannot be read: {error}")
                return Judged(access=NOBODY, token=access_token(NOBODY), error=unknown)
            if above is None:
                return None
            if above.type in {PAGE, BLOG_POST}:
                return await self.judged(above)
            content = above
        return None


class _Homes:
    """Pages of a space, by id, and how each was judged: a million pages in little memory, for most are judged alike."""

    def __init__(self) -> None:
        self._places = Parts()  # in the list
        self._judged: list[Judged] = []
        self._known: dict[int, int] = {}  # place by identity; the list keeps them alive

    def keep(self, page_id: str, judged: Judged) -> None:
        place = self._known.setdefault(id(judged), len(self._judged))
        if place == len(self._judged):
            self._judged.append(judged)
        self._places[page_id] = str(place).encode()

    def of(self, page_id: str) -> Judged | None:
        place = self._places.get(page_id)
        return self._judged[int(place)] if place is not None else None
