"""What is asked of a site, in Data Center's words (REST version 1). `cloud.py` says what Cloud answers otherwise."""

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Final

from connectors.confluence.client import AnswerError, Rest, parsed, segment
from connectors.confluence.rest import (
    ATTACHMENT,
    BLOG_POST,
    COMMENT,
    CURRENT,
    PAGE,
    Content,
    GroupRef,
    Lying,
    OperationRestriction,
    Parent,
    Rows,
    SpacePermission,
    SpaceRef,
    Stated,
    Subject,
    Subjects,
    User,
    Version,
)
from headwater.clients.egress.errors import ForbiddenError, MissingError
from headwater.errors import PoisonError, UnauthorisedError
from headwater.sources.confluence import ConfluenceSettings

_READERS: Final = "restrictions.read.restrictions.user,restrictions.read.restrictions.group"
OF_PAGES: Final = f"space,version,ancestors,history,metadata.labels,{_READERS}"
_OF_PARTS: Final = "space,version,history,container,metadata.labels"
_HIDDEN: Final = (MissingError, ForbiddenError)  # Confluence answers 404 for what one may not know of


class Site:
    """A Data Center site. `nobody` asks without credentials."""

    def __init__(self, rest: Rest, nobody: Rest, settings: ConfluenceSettings) -> None:
        self.rest, self._nobody, self.settings = rest, nobody, settings

    async def whoami(self) -> User:
        """Return the account that asks. Raises UnauthorisedError where there is none."""
        return await self.rest.read(User, "rest/api/user/current")

    async def spaces(self) -> list[SpaceRef]:
        """Return the current spaces that the account may view, as the settings take them."""
        found = [space async for space in self._spaces(self.rest)]
        return [space for space in found if space.is_current and self.settings.takes(space.key)]

    async def open_to_anonymous(self) -> frozenset[str]:
        """Return the spaces that the site shows to somebody without credentials; it is asked so, not inferred."""
        try:
            return frozenset([space.key async for space in self._spaces(self._nobody)])
        except (PoisonError, UnauthorisedError):
            return frozenset()  # a page to log in is no list of spaces, whether it may be called or not

    async def space_readers(self, space: SpaceRef) -> Subjects:
        """Return who may view a space. Raises ForbiddenError, MissingError where that cannot be read."""
        subjects = await self._granted(space)
        users = [await self._user(each.user_key) for each in subjects if each.type == "user" and each.user_key]
        return Subjects.model_validate({"user": {"results": users}, "group": {"results": _groups_of(subjects)}})

    async def space_groups(self, space: SpaceRef) -> Sequence[GroupRef]:
        """Return the groups that may view a space; no account is asked for. Raises as `space_readers`."""
        return _groups_of(await self._granted(space))

    async def _granted(self, space: SpaceRef) -> Sequence[Subject]:
        granted = await self.rest.read_list(SpacePermission, f"rest/api/space/{segment(space.key)}/permissions")
        return [each.subject for each in granted if each.operation.opens_space and each.subject is not None]

    async def any_page(self, space: SpaceRef) -> str | None:
        """Return the id of a page of a space, from where pages are listed; None where it has none."""
        query: dict[str, str | int] = {"spaceKey": space.key, "type": PAGE, "status": CURRENT, "limit": 1}
        found = (await self.rest.read(Rows, "rest/api/content", **query)).results
        return str(found[0].get("id")) if found else None

    async def any_found(self, space: SpaceRef) -> str | None:
        """Return the id of a page of a space, from the search."""
        query: dict[str, str | int] = {"cql": f"space = {quoted(space.key)} and type in ({PAGE})", "limit": 1}
        found = (await self.rest.read(Rows, "rest/api/content/search", **query)).results
        return str(found[0].get("id")) if found else None

    async def any_member(self, group: GroupRef) -> None:
        """Raise what the members of a group are refused with."""
        await self.rest.fetch(f"rest/api/group/{segment(group.name)}/member", limit=1)

    async def any_group(self) -> None:
        """Raise what the groups of the site are refused with, where they are asked for."""
        if self.settings.nested_groups:
            await self.rest.fetch("rest/api/group", limit=1)

    def contents(self, space: SpaceRef) -> AsyncIterator[object]:
        """Yield the pages and blog posts of a space, unread. Complete when it ends."""
        return self._listed(space, (PAGE, BLOG_POST) if self.settings.blog_posts else (PAGE,))

    async def _listed(self, space: SpaceRef, kinds: Sequence[str]) -> AsyncIterator[object]:
        for kind in kinds:
            # From the database: the search index of a Data Center site may lack contents for good.
            rows = self.rest.rows(
                "rest/api/content",
                spaceKey=space.key,
                type=kind,
                status=CURRENT,
                expand=OF_PAGES,
                limit=self.settings.page_size,
            )
            async for item in rows:
                yield item

    async def parts(self, space: SpaceRef) -> AsyncIterator[object]:
        """Yield the comments and attachments of a space, unread."""
        if kinds := self.part_kinds:
            async for item in self.search(f"space = {quoted(space.key)} and type in ({', '.join(kinds)})", _OF_PARTS):
                yield item

    @property
    def part_kinds(self) -> tuple[str, ...]:
        """Return which kinds of parts of pages are connected."""
        wanted = ((COMMENT, self.settings.comments), (ATTACHMENT, self.settings.attachments))
        return tuple(kind for kind, taken in wanted if taken)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return which kinds of contents are connected."""
        return (PAGE, *((BLOG_POST,) if self.settings.blog_posts else ()), *self.part_kinds)

    async def changed(self, minutes: int, spaces: Collection[SpaceRef]) -> AsyncIterator[tuple[str, Version]]:
        """Yield ids and versions of what was changed in the last minutes, oldest first.

        The time is relative: an absolute one would be read in a time zone that the site does not tell.
        """
        where = f"type in ({', '.join(self.kinds)}) and lastmodified >= now({quoted(f'-{minutes}m')})"
        if self.settings.spaces and spaces:
            where += f" and space in ({', '.join(quoted(space.key) for space in spaces)})"
        async for item in self.search(f"{where} order by lastmodified asc", "version"):
            found = parsed(Stated, item, "content")
            yield found.id, found.version

    async def search(self, cql: str, expand: str) -> AsyncIterator[object]:
        """Yield what the search index has."""
        pages = self.rest.pages("rest/api/content/search", cql=cql, expand=expand, limit=self.settings.page_size)
        async for page in pages:
            for item in page:
                yield item

    async def content(self, content_id: str) -> Content | None:
        """Look at one content; None where it is not there, in the trash, or not to be viewed."""
        expand = f"{OF_PAGES},container"
        try:
            found = await self.rest.read(Content, f"rest/api/content/{segment(content_id)}", expand=expand)
        except _HIDDEN:
            return None
        return found if found.status == CURRENT else None

    async def restriction(self, content_id: str) -> Subjects:
        """Return whom the read restriction of a content names. Raises where that cannot be read."""
        path = f"rest/api/content/{segment(content_id)}/restriction/byOperation/read"
        expand = "restrictions.user,restrictions.group"
        return (await self.rest.read(OperationRestriction, path, expand=expand, limit=200)).restrictions

    async def lying(self, _space: SpaceRef) -> AsyncIterator[Lying]:
        """Yield what the pages of a space lie in, for those that `ancestors` does not tell all of."""
        nothing: tuple[Lying, ...] = ()
        for each in nothing:
            yield each

    async def parent(self, _content_id: str, _kind: str) -> Parent | None:
        """Return what a content lies in; None where `ancestors` tells all that is above it."""
        return None

    async def with_body(self, content: Content) -> tuple[Content, str] | None:
        """Return a content as it is by now with its body in storage format: all of one look. None where it is gone."""
        try:
            expand = f"body.storage,{OF_PAGES},container"
            found = await self.rest.read(Content, f"rest/api/content/{segment(content.id)}", expand=expand)
        except _HIDDEN:
            return None
        if found.status != CURRENT:
            return None
        if found.body is None or found.body.storage is None:
            raise AnswerError(f"content {content.id}: the site gives no body in storage format")
        return found, found.body.storage.value

    async def download(self, content: Content) -> AsyncIterator[bytes]:
        """Yield the bytes of an attachment."""
        if content.links.download is None:
            raise AnswerError(f"attachment {content.id}: the site does not say where it is")
        async for piece in self.rest.stream(content.links.download, max_bytes=self.settings.max_bytes):
            yield piece

    async def members(self, group: GroupRef) -> list[User]:
        """Return the users in a group. Raises MissingError where there is no such group."""
        return await self._all(User, f"rest/api/group/{segment(group.name)}/member")

    async def groups_above(self) -> dict[str, list[GroupRef]]:
        """Return, by the key of a group, the groups that are in it, directly or through others."""
        nested: dict[str, list[GroupRef]] = {}
        if not self.settings.nested_groups:
            return nested
        for group in await self._all(GroupRef, "rest/api/group"):
            try:
                above = await self._all(GroupRef, f"rest/api/group/{segment(group.name)}/groupancestor")
            except MissingError:
                continue  # gone meanwhile, or a version of Confluence that does not tell: narrower, never wider
            for each in above:
                nested.setdefault(each.key, []).append(group)
        return nested

    async def display_name(self, user: User) -> str:
        """Return what an account that is mentioned is called; empty where the site does not tell."""
        try:
            return (await self.rest.read(User, "rest/api/user", **_user_query(user))).display_name or ""
        except PoisonError:
            return ""

    async def _user(self, user_key: str) -> User:
        try:
            return await self.rest.read(User, "rest/api/user", key=user_key)
        except _HIDDEN:
            return User(user_key=user_key)

    async def _all(self, form: type[User] | type[GroupRef], path: str) -> list:  # type: ignore[type-arg]
        return [parsed(form, item, path) async for page in self.rest.pages(path, limit=200) for item in page]

    async def _spaces(self, rest: Rest) -> AsyncIterator[SpaceRef]:
        async for page in rest.pages("rest/api/space", limit=self.settings.page_size, status=CURRENT):
            for item in page:
                yield parsed(SpaceRef, item, "rest/api/space")


def _groups_of(subjects: Sequence[Subject]) -> list[GroupRef]:
    return [GroupRef(name=each.name) for each in subjects if each.type == "group" and each.name]


def quoted(text: str) -> str:
    """Return text as CQL quotes it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _user_query(user: User) -> dict[str, str | int]:
    if user.account_id:
        return {"accountId": user.account_id}
    return {"key": user.user_key} if user.user_key else {"username": user.username or ""}
