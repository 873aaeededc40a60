"""What Cloud answers otherwise than Data Center: spaces by version 2 of its interface, contents by search.

Version 1 lists and gives contents by search alone any more; what is found comes from the database, as it is now. Only
whether something is gone is not to be learned there, for the index is written late: version 2 says that.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from connectors.confluence.client import AnswerError, Rest, parsed, segment
from connectors.confluence.rest import (
    BLOG_POST,
    CURRENT,
    PAGE,
    Content,
    Existing,
    GroupRef,
    Lying,
    Parent,
    Principal2,
    SpacePermission,
    SpaceRef,
    Subjects,
    User,
)
from connectors.confluence.site import OF_PAGES, Site, quoted
from headwater.clients.egress.errors import ForbiddenError, MissingError, RequestRefusedError
from headwater.errors import PoisonError

_FOLDERS: Final = ("pages", "blogposts", "footer-comments", "inline-comments", "attachments")
_PLACES: Final = {
    PAGE: "pages",
    "folder": "folders",
    "whiteboard": "whiteboards",
    "database": "databases",
    "embed": "embeds",
}


class NotFoundYetError(PoisonError):
    """A content that is there, and that the search does not find: it was just made, or just changed its place."""


class CloudSite(Site):
    """A Cloud site. Groups do not nest there."""

    async def contents(self, space: SpaceRef) -> AsyncIterator[object]:
        """Yield the pages and blog posts of a space, unread."""
        kinds = f"{PAGE}, {BLOG_POST}" if self.settings.blog_posts else PAGE
        where = f"space = {quoted(space.key)} and type in ({kinds}) order by created asc"
        async for item in self.search(where, OF_PAGES):
            yield item

    async def space_readers(self, space: SpaceRef) -> Subjects:
        """Return who may view a space. Raises ForbiddenError, MissingError where that cannot be read."""
        named = await self._named(space)
        users = [await self._account(each.id) for each in named if each.type.lower() == "user"]
        return Subjects.model_validate({"user": {"results": users}, "group": {"results": _groups_of(named)}})

    async def space_groups(self, space: SpaceRef) -> Sequence[GroupRef]:
        """Return the groups that may view a space; no account is asked for. Raises as `space_readers`."""
        return _groups_of(await self._named(space))

    async def _named(self, space: SpaceRef) -> Sequence[Principal2]:
        path = f"api/v2/spaces/{segment(space.id or '')}/permissions"
        granted = [
            parsed(SpacePermission, item, path) async for page in self.rest.pages(path, limit=250) for item in page
        ]
        return [each.principal for each in granted if each.operation.opens_space and each.principal is not None]

    async def any_page(self, space: SpaceRef) -> str | None:
        """Return the id of a page of a space; pages are listed by search."""
        return await self.any_found(space)

    async def any_member(self, group: GroupRef) -> None:
        """Raise what the members of a group are refused with."""
        await self.rest.fetch(f"rest/api/group/{segment(group.key)}/membersByGroupId", limit=1)

    async def any_group(self) -> None:
        """Ask nothing: groups of Cloud hold users alone."""

    async def content(self, content_id: str) -> Content | None:
        """Look at one content; None where it is not there, in the trash, or not to be viewed.

        Raises NotFoundYetError where the search is behind.
        """
        found = await self._found(content_id, f"{OF_PAGES},container")
        if found is None and await self._exists(content_id):
            raise NotFoundYetError(f"content {content_id}: the site's search does not find it yet; the next pass does")
        return found

    async def lying(self, space: SpaceRef) -> AsyncIterator[Lying]:
        """Yield what the pages of a space lie in: version 1 tells of pages alone."""
        path = f"api/v2/spaces/{segment(space.id or '')}/pages"
        async for page in self.rest.pages(path, limit=250):
            for item in page:
                yield parsed(Lying, item, path)

    async def parent(self, content_id: str, kind: str) -> Parent | None:
        """Return what a content lies in. Raises PoisonError where that cannot be read."""
        if kind not in _PLACES:
            raise AnswerError(f"content {content_id}: lies in a {kind or 'place'} that is not known here")
        return (await self.rest.read(Lying, f"api/v2/{_PLACES[kind]}/{segment(content_id)}")).parent

    async def with_body(self, content: Content) -> tuple[Content, str] | None:
        """Return a content as it is by now with its body in storage format: all of one look. None where it is gone."""
        found = await self._found(content.id, f"body.storage,{OF_PAGES},container")
        if found is None or found.body is None or found.body.storage is None:
            return None
        return found, found.body.storage.value

    async def download(self, content: Content) -> AsyncIterator[bytes]:
        """Yield the bytes of an attachment. The link that the site tells is for browsers, and refuses tokens."""
        if content.container is None:
            raise AnswerError(f"attachment {content.id}: the site does not say what it belongs to")
        path = f"rest/api/content/{segment(content.container.id)}/child/attachment/{segment(content.id)}/download"
        link = f"{path}?version={content.version.number}"
        async for piece in self.rest.stream(link, max_bytes=self.settings.max_bytes):
            yield piece

    async def members(self, group: GroupRef) -> list[User]:
        """Return the users in a group. Raises MissingError where there is no such group."""
        path = f"rest/api/group/{segment(group.key)}/membersByGroupId"
        return [parsed(User, item, path) async for page in self.rest.pages(path, limit=200) for item in page]

    async def groups_above(self) -> dict[str, list[GroupRef]]:
        """Return nothing: groups of Cloud hold users alone."""
        return {}

    async def _found(self, content_id: str, expand: str) -> Content | None:
        async for item in self.search(f"id = {quoted(content_id)}", expand):
            found = parsed(Content, item, "content")
            return found if found.status == CURRENT else None
        return None

    async def _exists(self, content_id: str) -> bool:
        for folder in _FOLDERS:
            try:
                found = await self.rest.read(Existing, f"api/v2/{folder}/{segment(content_id)}")
            except (MissingError, ForbiddenError, RequestRefusedError):  # the last: an id of another kind's form
                continue
            return found.status == CURRENT
        return False

    async def _account(self, account_id: str) -> User:
        try:
            return await self.rest.read(User, "rest/api/user", accountId=account_id)
        except PoisonError:
            return User(account_id=account_id)

    async def _spaces(self, rest: Rest) -> AsyncIterator[SpaceRef]:
        async for page in rest.pages("api/v2/spaces", limit=250, status=CURRENT):
            for item in page:
                yield parsed(SpaceRef, item, "api/v2/spaces")


def _groups_of(named: Sequence[Principal2]) -> list[GroupRef]:
    return [GroupRef(id=each.id) for each in named if each.type.lower() == "group"]
