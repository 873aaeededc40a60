"""Spaces and groups become groups of the directory: who may view what changes without a page being read."""

from collections.abc import AsyncIterator, Iterable

from connectors.confluence.access import Readers, space_group
from connectors.confluence.cursor import GROUP, group_state, held_groups
from connectors.confluence.rest import GroupRef, SpaceRef, Subjects
from connectors.confluence.site import Site
from connectors.protocol import Cursor, GroupMirrored, ItemFailed, Observed
from headwater.clients.egress.errors import MissingError
from headwater.errors import PoisonError
from schemas.events.directory import Group
from schemas.ids import EVERYONE

_SPACE = "space:"


class GroupMirror:
    """Mirrors the readers of spaces and the groups that are named, each once a pass, where they differ."""

    def __init__(self, site: Site, readers: Readers, since: Cursor) -> None:
        self._site, self._readers, self._since = site, readers, since
        self._held = held_groups(since)
        self._seen: set[str] = set()
        self._nested: dict[str, list[GroupRef]] = {}

    def trust_cursor(self) -> None:
        """Mirror only groups that were never mirrored: a look at single contents does not see how groups nest."""
        self._seen.update(self._held)

    async def all(self, spaces: Iterable[SpaceRef]) -> AsyncIterator[Observed]:
        """Yield what differs: the readers of the spaces, the groups they name, and every group mirrored earlier."""
        try:
            self._nested = await self._site.groups_above()
        except PoisonError as error:  # narrower, never wider: members of inner groups are not in the outer ones
            yield ItemFailed(external_id="groups", error=error)
        anonymous = await self._site.open_to_anonymous()
        for space in spaces:
            self._seen.add(space_group(space.key))
            async for change in self._space(space, anonymous=space.key in anonymous):
                yield change
        for group_id, ref in self._held.items():
            if group_id in self._seen:
                continue
            if group_id.startswith(_SPACE):
                yield GroupMirrored(group_id=group_id, group=None, cursor={GROUP + group_id: None})
                continue
            async for change in self.met([ref]):
                yield change

    async def met(self, groups: Iterable[GroupRef]) -> AsyncIterator[Observed]:
        """Yield what differs of groups that are named, and of those in them. What this pass has seen is left out."""
        waiting = list(groups)
        while waiting:
            ref = waiting.pop()
            if ref.group_id in self._seen:
                continue
            self._seen.add(ref.group_id)
            nested = self._nested.get(ref.key, [])
            waiting += nested
            async for change in self._group(ref, nested):
                yield change

    async def _space(self, space: SpaceRef, *, anonymous: bool) -> AsyncIterator[Observed]:
        readers = Subjects()
        try:
            readers = await self._site.space_readers(space)
        except PoisonError as error:
            yield ItemFailed(external_id=f"space:{space.key}", error=error)
        async for change in self.met(readers.group.results):
            yield change
        members = self._readers.members(readers) + ((EVERYONE,) if anonymous else ())
        name = f"Readers of {space.name or space.key}"
        group = Group(name=name, members=members)
        for each in self._differing(space_group(space.key), group, GroupRef()):
            yield each

    async def _group(self, ref: GroupRef, nested: Iterable[GroupRef]) -> AsyncIterator[Observed]:
        group_id = ref.group_id
        subjects = Subjects.model_validate({"group": {"results": list(nested)}})
        try:
            users = await self._site.members(ref)
            subjects = Subjects.model_validate({"user": {"results": users}, "group": {"results": list(nested)}})
        except MissingError:
            if group_id in self._held:
                yield GroupMirrored(group_id=group_id, group=None, cursor={GROUP + group_id: None})
            return
        except PoisonError as error:
            yield ItemFailed(external_id=group_id, error=error)
        group = Group(name=ref.name or ref.key, members=self._readers.members(subjects))
        for each in self._differing(group_id, group, ref):
            yield each

    def _differing(self, group_id: str, group: Group, ref: GroupRef) -> list[GroupMirrored]:
        state = group_state(group, ref)
        if self._since.get(GROUP + group_id) == state:
            return []
        return [GroupMirrored(group_id=group_id, group=group, cursor={GROUP + group_id: state})]
