"""The audit on the real log and stores: every kind of difference, written into each of them, is found and repaired."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from headwater.audit.opening import open_verification
from headwater.audit.recording import Verification
from headwater.clients.elasticsearch.consistency import ElasticsearchConsistency
from headwater.clients.elasticsearch.holdings import DocumentHoldings
from headwater.clients.kafka.config import topic_of
from headwater.ports.consistency import Difference, Projection
from schemas.codec import decode
from schemas.events import AuditRecorded, DocumentChanged
from schemas.events.base import Position
from schemas.events.documents import DocumentSubmitted, SubmissionOp
from schemas.ids import Revision
from schemas.topics import Topic
from tests.support.audited import (
    World,
    audited_world,
    deleted_state,
    never_behind,
    rows_of_state,
    some_vectors,
    state_of,
)
from tests.support.records import read_topic
from tests.support.rows import DIMENSION
from tests.support.stack import RunningStack

pytestmark = pytest.mark.real
SOMEWHERE = Position(topic="log", partition=0, offset=0)
STORES = (Projection.VECTORS, Projection.KEYWORDS)


@pytest.fixture
async def world(stack: RunningStack) -> AsyncIterator[World]:
    async with audited_world(stack, dimension=DIMENSION) as opened:
        yield opened


@asynccontextmanager
async def verifying(world: World, folder: Path) -> AsyncIterator[Verification]:
    async with open_verification(world.settings, folder) as verification:
        yield never_behind(verification)


async def in_both(world: World, state: DocumentChanged, *ordinals: int) -> None:
    """Write these rows of a state into both stores, whatever the log says."""
    rows = rows_of_state(state, chunks=3, ordinals=ordinals or None)
    await world.vectors.upsert(rows, some_vectors(len(rows), DIMENSION))
    await world.keywords.upsert(rows)


async def test_every_kind_of_difference_is_found_and_repaired(world: World, tmp_path: Path) -> None:
    sound = [state_of(f"sound-{n}.md", readers=("user:ann", "group:wiki:staff")) for n in range(40)]
    missing, outdated, incomplete, wrong, beside = (
        state_of(f"{name}.md") for name in ("missing", "outdated", "incomplete", "wrong", "beside")
    )
    gone, stranger = deleted_state("gone.md"), state_of("stranger.md")
    older, elsewhere = replace(beside, revision=Revision(5)), state_of("wrong.md", readers=("user:eve",))
    wronged = [missing, outdated, incomplete, wrong]
    await world.publish(*sound, beside)
    await world.log([*wronged, gone], chunks=3)
    await in_both(world, replace(outdated, revision=Revision(6)))
    await in_both(world, incomplete, 0, 2)
    await in_both(world, elsewhere)
    for extra in (older, replace(gone, revision=Revision(7)), stranger):
        await in_both(world, extra)
    # The read model: one record too old, one for others, one that nobody knows, and one (of `missing`) not there.
    recorded = [replace(outdated, revision=Revision(6)), incomplete, elsewhere, stranger, gone]
    await world.documents.record_states([(state, SOMEWHERE) for state in recorded])

    async with verifying(world, tmp_path) as verification:
        first = await verification.run(repair=True)
        found = {(each.projection, each.difference, each.document_id) for each in first.result.findings}
        expected = {
            (projection, difference, state.document_id)
            for projection in STORES
            for difference, state in (
                (Difference.MISSING, missing),
                (Difference.OUTDATED, outdated),
                (Difference.INCOMPLETE, incomplete),
                (Difference.WRONG_POLICY, wrong),
                (Difference.EXTRA, beside),
                (Difference.EXTRA, gone),
                (Difference.EXTRA, stranger),
            )
        } | {
            (Projection.DOCUMENTS, Difference.MISSING, missing.document_id),
            (Projection.DOCUMENTS, Difference.OUTDATED, outdated.document_id),
            (Projection.DOCUMENTS, Difference.WRONG_POLICY, wrong.document_id),
            (Projection.DOCUMENTS, Difference.EXTRA, stranger.document_id),
        }
        assert found == expected
        [report] = first.reports
        assert (report.repairs.rerun, report.repairs.removed, report.repairs.refused) == (4, 3, 0)

        # What runs again goes through admission and the stages under a new revision; here the test does their work.
        assert {each.document_id for each in submitted(world)} == {each.document_id for each in wronged}
        again = [replace(state, revision=Revision(9)) for state in wronged]
        await world.publish(*again)
        for state in wronged:
            for index in (world.vectors, world.keywords):  # as the sweeper does behind a complete revision
                await index.remove_older(state.tenant_id, state.document_id, than=Revision(9))
        second = await verification.run(repair=False)
        assert second.result.findings == []
        [clean] = second.reports
        assert all(tally.fingerprint == tally.expected for tally in clean.projections.values())
        assert clean.projections[Projection.VECTORS].rows == 45 * 3
        assert sum(each.offset for each in clean.positions) > len(sound)

    async with ElasticsearchConsistency.open(world.settings.elasticsearch) as kept:
        assert await kept.newest(clean.tenant_id, generation=world.settings.generation) == clean
    async with DocumentHoldings.open(world.settings.elasticsearch) as documents:
        assert len(await documents.holdings(first.result.differing_ranges[0])) == 46
    actions = [event.action for event in recorded_in_trail(world)]
    assert sorted(actions) == ["consistency.repaired", "consistency.verified"]


def submitted(world: World) -> list[DocumentSubmitted]:
    topic = topic_of(world.settings, Topic.DOCUMENTS_BACKFILL)
    events = [decode(value, DocumentSubmitted) for value in read_topic(_broker(world), topic)]
    assert {each.op for each in events} <= {SubmissionOp.RERUN}
    return events


def recorded_in_trail(world: World) -> list[AuditRecorded]:
    topic = topic_of(world.settings, Topic.AUDIT_RECORDED)
    return [decode(value, AuditRecorded) for value in read_topic(_broker(world), topic)]


def _broker(world: World) -> str:
    return world.settings.kafka.bootstrap_servers
