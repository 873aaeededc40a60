"""Who may read a content, as Confluence decides: the space AND each restricted ancestor AND the content itself.

Where it cannot be read it is nobody. Restrictions to edit take nothing from readers.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from connectors.confluence.rest import PAGE, Content, GroupRef, Parent, SpaceRef, Subjects, User
from connectors.confluence.site import Site
from connectors.identities import Identities
from connectors.parts import Parts
from headwater.access.clauses import check_access
from headwater.errors import PoisonError
from headwater.sources.confluence import ConfluenceSettings
from schemas.events.documents import NOBODY, Access, Clause
from schemas.ids import Principal, SourceId

UNRESTRICTED: Final = Subjects()
_USER: Final = re.compile(r"user:\S{1,200}")


class PermissionsUnknownError(PoisonError):
    """Who may read a content cannot be told. Until it can, it is for nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readers:
    """Turns what Confluence names into principals."""

    source: SourceId
    settings: ConfluenceSettings

    def user(self, account: User) -> Principal | None:
        """Return the user of the directory that an account is; None: it is nobody here."""
        identities = Identities(users=self.settings.users, by_email=self.settings.by_email)
        found = [identities.user_of(name, email=None) for name in account.names]
        found.append(identities.user_of("", email=account.email))
        if self.settings.by_username and account.username:
            found.append(Principal(f"user:{account.username}"))
        return next((each for each in found if each is not None and _USER.fullmatch(each)), None)

    def group(self, group_id: str) -> Principal:
        """Return the principal of a mirrored group."""
        return Principal(f"group:{self.source}:{group_id}")

    def members(self, subjects: Subjects) -> tuple[Principal, ...]:
        """Return whom a restriction or a permission names, in one order."""
        users = {found for account in subjects.user.results if (found := self.user(account)) is not None}
        groups = {self.group(group.group_id) for group in subjects.group.results}
        return tuple(sorted(users | groups))

    def access(self, space_key: str, restrictions: Sequence[Subjects]) -> Access:
        """Return the access of a content below these restrictions, from the top down.

        A restriction to accounts that are nobody here makes it nobody's. Raises PermissionsUnknownError for more
        clauses or principals than a rule may have.
        """
        clauses = [Clause(principals=(self.group(space_group(space_key)),))]
        for restriction in restrictions:
            clause = Clause(principals=self.members(restriction))
            if not clause.principals:
                return NOBODY
            if clause not in clauses:
                clauses.append(clause)
        access = Access(clauses=tuple(clauses))
        try:
            check_access(access)
        except PoisonError as error:
            raise PermissionsUnknownError(str(error)) from error
        return access


class Restrictions:
    """The read restrictions met in one pass. Those of ancestors that were not met are asked for, once.

    A space may hold a million pages: what is remembered of them lies in temporary files.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._known = Parts()  # by id, as JSON; empty: unrestricted
        self._parents = Parts()  # by id: type and id of what it lies in; empty: in nothing

    async def enter(self, space: SpaceRef) -> None:
        """Learn what the pages of a space lie in, so that it is not asked for one by one. Forget the space before."""
        self._known, self._parents = Parts(), Parts()
        async for each in self._site.lying(space):
            self._parents[each.id] = _place(each.parent)

    async def above_and_of(self, content: Content) -> list[Subjects]:
        """Return the restrictions that a reader of a page or blog post must satisfy, from the top down.

        Raises PermissionsUnknownError where one cannot be read.
        """
        told = content.read_restriction
        if told is not None:
            self._known[content.id] = _written(told)
        else:
            self._known.pop(content.id, None)
        places = await self._places(content) if content.type == PAGE else []
        above = [each.id for each in content.ancestors] + [each.id for each in places if each.type == PAGE]
        chain = [await self._of(each) for each in dict.fromkeys((*above, content.id))]
        chain += [await self._of_folder(each) for each in places if each.type != PAGE]
        return [restriction for restriction in chain if not restriction.is_empty]

    async def _places(self, content: Content) -> list[Parent]:
        """Return what a page lies in, from the bottom up, as far as the site tells that beside its ancestors."""
        found: list[Parent] = []
        at = Parent(id=content.id, type=PAGE)
        while (above := await self._parent(at)) is not None:
            if above in found:
                raise PermissionsUnknownError(f"content {content.id} lies in itself, as the site tells")
            found.append(above)
            at = above
        return found

    async def _parent(self, at: Parent) -> Parent | None:
        place = self._parents.get(at.id)
        if place is None:
            try:
                place = self._parents[at.id] = _place(await self._site.parent(at.id, at.type))
            except PoisonError as error:
                raise PermissionsUnknownError(
                    f"what {at.type or 'content'} {at.id} lies in cannot be read ({error}); let the account view it"
                ) from error
        kind, _, above = place.decode().partition(" ")
        return Parent(id=above, type=kind) if above else None

    async def _of_folder(self, folder: Parent) -> Subjects:
        """Return the restriction of what is no page. The site tells none of a folder that has one (CONFCLOUD-82920)."""
        try:
            known = await self._of(folder.id)
        except PermissionsUnknownError:  # not told, as an empty one
            known = UNRESTRICTED
        if known.is_empty and not self._site.settings.open_folders:
            raise PermissionsUnknownError(
                f"who may view {folder.type} {folder.id} is not told; set open_folders where no folder is restricted"
            )
        return known

    async def _of(self, content_id: str) -> Subjects:
        written = self._known.get(content_id)
        if written is None:
            try:
                known = await self._site.restriction(content_id)
            except PoisonError as error:
                raise PermissionsUnknownError(
                    f"the restrictions of content {content_id} cannot be read ({error}); let the account view it"
                ) from error
            written = self._known[content_id] = _written(known)
        return Subjects.model_validate_json(written) if written else UNRESTRICTED


def _written(restriction: Subjects) -> bytes:
    return b"" if restriction.is_empty else restriction.model_dump_json(by_alias=True, exclude_none=True).encode()


def _place(above: Parent | None) -> bytes:
    return f"{above.type} {above.id}".encode() if above is not None else b""


def groups_of(restrictions: Sequence[Subjects]) -> list[GroupRef]:
    """Return the groups that restrictions name."""
    return [group for restriction in restrictions for group in restriction.group.results]


def space_group(space_key: str) -> str:
    """Return the id of the group of those who may view a space."""
    return f"space:{quote(space_key, safe='~@.-_')}"


def access_token(access: Access) -> str:
    """Return what tells whether an access changed."""
    return hashlib.sha256(repr(access).encode()).hexdigest()[:16]
