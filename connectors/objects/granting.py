"""Who may read one object, as far as it can be known without reading anything: what the cursor compares."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from connectors.objects.access import tag_rule
from connectors.objects.sidecars import Sidecars, rule_bytes
from connectors.prefixes import PrefixAccess
from connectors.rules import FolderRuleError, narrowed, read_rule
from headwater.errors import FatalError, PoisonError
from headwater.ports.objects import ListedObject, Objects, ObjectVanishedError
from headwater.sources.objects import ObjectsSettings
from schemas.events.documents import NOBODY, Access


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """An object's access before its sidecar, and the sidecar. `error`: what closed it already."""

    access: Access
    sidecar: ListedObject | None
    error: FolderRuleError | None = None

    @property
    def token(self) -> str:
        """Return what tells whether the access changed; the sidecar's content is told by its ETag."""
        etag = "" if self.sidecar is None else f"{self.sidecar.etag}{self.sidecar.size_bytes}"
        return hashlib.sha256(f"{self.access!r}{etag}".encode()).hexdigest()[:16]

    async def read(self, objects: Objects) -> Access:
        """Return the access; the sidecar is read now. Raise FolderRuleError where it is for nobody until mended."""
        if self.error is not None:
            raise self.error
        if self.sidecar is None:
            return self.access
        rule = read_rule(await rule_bytes(objects, self.sidecar), self.sidecar.key)
        return narrowed(self.access, rule, self.sidecar.key)


class Granting:
    """Finds the grants of a listing's objects, page by page."""

    def __init__(
        self, objects: Objects, settings: ObjectsSettings, rules: PrefixAccess, sidecars: Sidecars | None
    ) -> None:
        self._objects, self._settings, self._rules, self._sidecars = objects, settings, rules, sidecars
        self._tagging = asyncio.Semaphore(settings.tag_requests)

    async def of_page(self, page: Sequence[ListedObject]) -> list[tuple[ListedObject, Grant]]:
        """Return the grants of a page's objects, in order. One that vanished meanwhile is closed."""
        tags = await self._tags(page)
        found = []
        for listed, its_tags in zip(page, tags, strict=True):
            key = listed.key.removeprefix(self._settings.prefix)
            sidecar = None if self._sidecars is None else await self._sidecars.of(key)
            found.append((listed, self._grant(listed, key, its_tags, sidecar)))
        return found

    async def of_one(self, listed: ListedObject, sidecar: ListedObject | None) -> Grant:
        """Return the grant of one object whose sidecar was looked at."""
        (tags,) = await self._tags([listed])
        return self._grant(listed, listed.key.removeprefix(self._settings.prefix), tags, sidecar)

    def _grant(
        self, listed: ListedObject, key: str, tags: Mapping[str, str] | None, sidecar: ListedObject | None
    ) -> Grant:
        if tags is None:
            return Grant(access=NOBODY, sidecar=None)
        access = self._rules.access(key)
        if not tags:
            return Grant(access=access, sidecar=sidecar)
        try:
            return Grant(access=narrowed(access, tag_rule(tags), f"{listed.key}: tags"), sidecar=sidecar)
        except (FolderRuleError, ValidationError) as error:
            told = error if isinstance(error, FolderRuleError) else FolderRuleError(f"{listed.key}: tags: not a rule")
            return Grant(access=NOBODY, sidecar=None, error=told)

    async def _tags(self, page: Sequence[ListedObject]) -> Sequence[Mapping[str, str] | None]:
        if not self._settings.access_tags:
            return [{}] * len(page)
        return await asyncio.gather(*(self._tags_of(listed.key) for listed in page))

    async def _tags_of(self, key: str) -> Mapping[str, str] | None:
        """Return an object's tags; None where it vanished: that is not an object without tags."""
        async with self._tagging:
            try:
                return await self._objects.tags(key)
            except ObjectVanishedError:
                return None
            except PoisonError as error:  # not to be mistaken for an object without tags, nor for a revocation
                raise FatalError(f"{error}; or connect the bucket without access_tags") from error
