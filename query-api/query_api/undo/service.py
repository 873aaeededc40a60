"""Reads the history of the log within a request's time and submits what was deleted, as the command does."""

import asyncio
import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from headwater.clients.kafka.config import topic_of
from headwater.undoing import Part, Undo, Undone
from query_api.authorization import Action, Resource, authorize
from query_api.changes import ChangeLog, Origin, newest_of, token_of
from query_api.problems import ConflictError, InvalidRequestError, NotFoundError, RequestTimeoutError
from query_api.runtime import Runtime
from query_api.undo.schemas import LostDocument, UndoBody, UndoReport
from schemas.events.directory import DirectoryKind
from schemas.ids import DocumentId, SourceId
from schemas.topics import Topic

READING_SHARE: Final = 0.6  # of a request's time: sending what was found needs the rest


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a page begins: in this partition of the log, behind this document."""

    partition: int = 0
    after: DocumentId | None = None

    def text(self) -> str:
        """Return it as a cursor."""
        return base64.urlsafe_b64encode(f"{self.partition}:{self.after or ''}".encode()).decode()

    @classmethod
    def of(cls, cursor: str | None) -> "_Place":
        """Read a cursor; InvalidRequestError for what is none."""
        if cursor is None:
            return cls()
        try:
            partition, _, after = base64.urlsafe_b64decode(cursor).decode().partition(":")
            return cls(int(partition), DocumentId(after) if after else None)
        except (binascii.Error, ValueError) as error:
            raise InvalidRequestError(
                "cursor: not one of ours; pass it as a page returned it", field="cursor"
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """What the partitions that were read in time come to."""

    parts: tuple[Part, ...]
    rest: _Place | None

    @property
    def undone(self) -> Undone:
        return sum((part.undone for part in self.parts), Undone())


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoService:
    """Takes back deletions of the caller's tenant."""

    runtime: Runtime
    origin: Origin
    changes: ChangeLog

    @classmethod
    def of(cls, runtime: Runtime, origin: Origin) -> "UndoService":
        """Build one for a request."""
        return cls(runtime=runtime, origin=origin, changes=ChangeLog(events=runtime.events, now=runtime.now))

    async def undo(self, source: str, wish: UndoBody) -> UndoReport:
        """Do a page of it, or say what it would be. Raise NotFoundError, ConflictError, RequestTimeoutError."""
        resource = self._authorized(source)
        place = _Place.of(wish.cursor)
        if self.runtime.undoing.locked():
            raise ConflictError(f"{resource}: this replica reads the log for another undo", remedy="Try again shortly.")
        async with self.runtime.undoing:
            page = await self._read(resource, wish, place)
        token = None if wish.dry_run else await self._submit(resource, wish, page)
        undone = page.undone
        return UndoReport(
            source=source,
            dry_run=wish.dry_run,
            restored=undone.restored,
            kept=undone.kept,
            lost=[LostDocument.of(each) for each in undone.lost],
            cursor=None if page.rest is None else page.rest.text(),
            token=token,
        )

    async def _read(self, resource: Resource, wish: UndoBody, begin: _Place) -> _Page:
        """Read as many partitions as fit into the time and the limit; RequestTimeoutError where not one does."""
        parts: list[Part] = []
        place: _Place | None = begin
        try:
            async with asyncio.timeout(READING_SHARE * self.runtime.settings.api.request_timeout_s):
                undo, waiting = self._undo(resource, wish), await self._waiting(resource)
                facts = await undo.facts()
                left = wish.limit
                while place is not None and place.partition in facts.starts and left > 0:
                    part = await undo.part(facts, place.partition, waiting, after=place.after, limit=left)
                    parts.append(part)
                    left -= len(part.submissions) + len(part.undone.lost)
                    following = _Place(place.partition + 1)
                    place = following if part.rest_after is None else _Place(place.partition, part.rest_after)
                if place is not None and place.partition not in facts.starts:
                    place = None
        except TimeoutError as error:
            if not parts:
                raise RequestTimeoutError(
                    f"{resource}: the log is too long to be read within a request",
                    remedy="Run `headwater sources undo` where the broker and the blob store can be reached.",
                ) from error
        return _Page(parts=tuple(parts), rest=place)

    async def _submit(self, resource: Resource, wish: UndoBody, page: _Page) -> str | None:
        submissions = [each for part in page.parts for each in part.submissions]
        if not submissions:
            return None
        await self.changes.record(
            action="sources.undo",
            resource=resource,
            origin=self.origin,
            outcome="submitted",
            reason=f"{len(submissions)} documents that were deleted since {wish.since.isoformat()}",
        )
        sent = await asyncio.gather(*(self.changes.events.send(each) for each in submissions))
        return token_of(newest_of(sent))

    def _undo(self, resource: Resource, wish: UndoBody) -> Undo:
        return Undo(
            tenant=resource.tenant_id,
            source=SourceId(resource.id),
            since=wish.since,
            now=self.changes.now(),
            actor=self.origin.caller.principal,
            log=self.runtime.history,
            blobs=self.runtime.blobs,
            directory_topic=topic_of(self.runtime.settings, Topic.DIRECTORY_CHANGED),
        )

    async def _waiting(self, resource: Resource) -> Mapping[DocumentId, datetime]:
        waiting = await self.runtime.quarantine.waiting(resource.tenant_id, SourceId(resource.id))
        return {each.document_id: each.quarantined_at for each in waiting}

    def _authorized(self, source: str) -> Resource:
        tenant = self.origin.caller.tenant_id
        resource = Resource(tenant_id=tenant, kind=DirectoryKind.SOURCE.value, id=source)
        authorize(self.origin.caller, Action.WRITE_DIRECTORY, resource)
        if self.runtime.directory.get(tenant, DirectoryKind.SOURCE, source) is None:
            raise NotFoundError(f"{resource}: not found")
        return resource
