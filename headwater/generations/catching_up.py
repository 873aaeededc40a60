"""Proof that a generation has everything.

Its groups have read the log to its end as of the request, and every live document is complete, or failed, in both of
its stores.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from headwater.clients.elasticsearch.read_model import ElasticsearchDocuments
from headwater.clients.kafka.config import group_of, topic_of
from headwater.generations.positions import Positions
from headwater.generations.records import GenerationRefusedError
from headwater.heads.counting import is_complete, live_heads
from headwater.heads.view import LmdbHeads
from headwater.ports.read_model import DocumentReadModel
from headwater.settings import Settings
from schemas.events.base import Store
from schemas.events.documents import ProgressOutcome
from schemas.ids import DocumentId, GenerationName, Revision, TenantId
from schemas.topics import Topic

# In the order of the flow: what one has read to its end was written to the next one's topic before.
_FLOW: Final = (
    ("prepare", Topic.DOCUMENTS_CHANGED),
    ("prepare", Topic.DOCUMENTS_DEFERRED),
    ("embed", Topic.CHUNKS_PREPARED),
    ("index-keywords", Topic.CHUNKS_PREPARED),
    ("index-vectors", Topic.CHUNKS_EMBEDDED),
)
_LOOK_EVERY_S: Final = 0.2
_NAMED: Final = 3  # documents that a refusal names
_ASKED_AT_ONCE: Final = 250  # documents; each has four records in the read model
# Revisions that a store has neither completed nor given up.
Wanted: TypeAlias = Mapping[tuple[TenantId, DocumentId, Store], Revision]


class NotCaughtUpError(GenerationRefusedError):
    """A generation lacks something that the log has; the text says what, and how much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchUp:
    """Proves it for one generation within `patience_s`, which edits that go on meanwhile do not lengthen."""

    settings: Settings
    generation: GenerationName
    patience_s: float

    async def prove(self) -> None:
        """Return when the generation has all that the log had when this was called. Raises NotCaughtUpError."""
        deadline = time.monotonic() + self.patience_s
        positions = Positions(self.settings)
        for stage, topic in _FLOW:
            await self._until_read(positions, stage, topic, deadline)
        await self._until_applied(positions, deadline)
        wanted = self._incomplete()
        async with ElasticsearchDocuments.open(self.settings.elasticsearch) as model:
            while wanted := await self._unexplained(wanted, model):
                if time.monotonic() > deadline:
                    raise NotCaughtUpError(_lacking(self.generation, wanted))
                await asyncio.sleep(_LOOK_EVERY_S)

    async def _until_read(self, positions: Positions, stage: str, topic: Topic, deadline: float) -> None:
        ends = await positions.ends(topic_of(self.settings, topic, generation=self.generation))
        group = group_of(self.settings, stage, generation=self.generation)
        while (way := await positions.way(group, ends)).left:
            if time.monotonic() > deadline:
                raise NotCaughtUpError(
                    f"{self.generation} has not caught up: {group} has {way.left} of {way.total} events to read; "
                    "look with `headwater generations list`"
                )
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _until_applied(self, positions: Positions, deadline: float) -> None:
        """Wait until this host's replica has read every report that there is by now."""
        ends = await positions.ends(topic_of(self.settings, Topic.DOCUMENTS_PROGRESSED))
        heads = LmdbHeads(self.settings)
        try:
            while not ends.reached(heads.applied()):
                if time.monotonic() > deadline:
                    raise NotCaughtUpError(
                        "the replica of this host is behind; is `python -m headwater.heads` running?"
                    )
                await asyncio.sleep(_LOOK_EVERY_S)
        finally:
            heads.close()

    def _incomplete(self) -> Wanted:
        return {
            (head.tenant_id, head.document_id, store): head.revision
            for head in live_heads(self.settings.heads)
            for store in Store
            if not is_complete(head, self.generation, store)
        }

    async def _unexplained(self, wanted: Wanted, model: DocumentReadModel) -> Wanted:
        """Return what is wanted and neither complete by now, nor deleted, nor failed."""
        if not wanted:
            return {}
        current = self._incomplete()
        left = {each: revision for each, revision in wanted.items() if each in current}
        return await without_failed(left, model, generation=self.generation)


async def without_failed(wanted: Wanted, model: DocumentReadModel, *, generation: GenerationName) -> Wanted:
    """Return what is wanted without the revisions that have failed: no waiting completes these."""
    documents = sorted({(tenant, document) for tenant, document, _ in wanted})
    failed: set[tuple[TenantId, DocumentId, Store]] = set()
    for first in range(0, len(documents), _ASKED_AT_ONCE):
        page = documents[first : first + _ASKED_AT_ONCE]
        states = await model.store_states(page, generation=generation)
        for tenant, document in page:
            for store, state in states[document].items():
                latest, key = state.latest, (tenant, document, store)
                if latest is not None and key in wanted and latest.outcome is ProgressOutcome.FAILED:
                    failed |= {key} if latest.revision >= wanted[key] else set()
    return {each: revision for each, revision in wanted.items() if each not in failed}


def _lacking(generation: GenerationName, wanted: Wanted) -> str:
    named = ", ".join(sorted({document for _, document, _ in wanted})[:_NAMED])
    return (
        f"{generation} has not caught up: {len(wanted)} times a store lacks a document's newest revision, among them "
        f"{named}; look with `headwater documents show`"
    )
