"""Defects of what rows hold, and of how a document of many pages is put together."""

import contextlib
from dataclasses import replace
from typing import Any

import headwater.rows.builder
import streams.index_keywords.agent
import streams.index_vectors.agent
import streams.index_vectors.step
import streams.prepare.heavy
from headwater.ports.rows import ChunkRow
from schemas.events import ChunkBatch
from schemas.ids import DocumentId, Revision, TenantId
from tests.simulation.defects import patch_in


def readers_of_the_revision_before(stack: contextlib.ExitStack) -> None:
    _lag(stack, "access")


def attributes_of_the_revision_before(stack: contextlib.ExitStack) -> None:
    _lag(stack, "attributes")


def _lag(stack: contextlib.ExitStack, field: str) -> None:
    make = headwater.rows.builder.rows
    known: dict[DocumentId, dict[Revision, Any]] = {}

    def outdated(batch: ChunkBatch) -> list[ChunkRow]:
        values = known.setdefault(batch.document_id, {})
        values[batch.revision] = getattr(batch, field)
        before = max((each for each in values if each < batch.revision), default=batch.revision)
        return make(replace(batch, **{field: values[before]}))

    for module in (streams.index_keywords.agent, streams.index_vectors.agent):
        patch_in(stack, module, "rows", outdated)


def vectors_in_another_order(stack: contextlib.ExitStack) -> None:
    vectors_of = streams.index_vectors.step.vectors_of
    patch_in(stack, streams.index_vectors.agent, "vectors_of", lambda batch: vectors_of(batch)[::-1])


def page_ranges_alike(stack: contextlib.ExitStack) -> None:
    def without_first(_: object, tenant: TenantId, sha256: str, first: int) -> str:
        return f"pages:{tenant}:{sha256}"

    patch_in(stack, streams.prepare.heavy.HeavyLane, "_key", without_first)
