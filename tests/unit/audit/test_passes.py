"""Passes on fakes: what they find, repair, report and record, and what happens meanwhile."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from headwater.audit.judging import LoggedDocument, StoreReports
from headwater.audit.passes import Auditor
from headwater.audit.recording import PassOutcome, Verification
from headwater.audit.repairing import ACTOR, Repairer, plan
from headwater.errors import FatalError, RetryableError
from headwater.ports.consistency import Difference, Holding, Projection, Repairs
from headwater.settings import AuditSettings
from headwater.telemetry.management import Health
from headwater.telemetry.metrics import CONSISTENCY_DIFFERENCES
from schemas.events.base import Event, Lane, Store
from schemas.events.documents import DocumentOp, DocumentSubmitted, SubmissionOp
from schemas.events.queries import AuditRecorded
from schemas.ids import DocumentId, GenerationName, Revision, TenantId
from streams.audit.worker import Worker
from tests.support.consistency import FakeAuditLog, FakeTable, HeldList, KeptReports
from tests.unit.audit.worlds import ACME, FEW, NOW_MS, RIVAL, all_of, document_named, held_of, logged

G1 = GenerationName("g1")
SETTINGS = AuditSettings(share=1.0, grace_s=60, sweep_leeway_s=1)


@dataclass(slots=True, kw_only=True)
class Site:
    """An installation on fakes."""

    log: FakeAuditLog
    projections: dict[Projection, HeldList]
    kept: KeptReports = field(default_factory=KeptReports)
    sent: list[Event] = field(default_factory=list)
    settings: AuditSettings = SETTINGS
    behind: bool = False
    rebuilding: frozenset[Projection] = frozenset()

    async def verify(self, *, repair: bool = False) -> PassOutcome:
        return await self.verification().run(repair=repair)

    def verification(self) -> Verification:
        async def send(event: Event) -> None:
            self.sent.append(event)

        async def behind() -> bool:
            return self.behind

        async def rebuilding() -> frozenset[Projection]:
            return self.rebuilding

        return Verification(
            auditor=Auditor(
                log=self.log,
                projections=self.projections,
                generation=G1,
                settings=self.settings,
                removal_grace_s=45,
                behind=behind,
                rebuilding=rebuilding,
                now_ms=lambda: NOW_MS,
            ),
            repairer=Repairer(projections=self.projections, send=send, settings=self.settings),
            kept=self.kept,
            send=send,
        )

    def reruns(self) -> list[DocumentSubmitted]:
        return [each for each in self.sent if isinstance(each, DocumentSubmitted)]

    def trail(self) -> list[tuple[str, str | None]]:
        return [(each.action, each.reason) for each in self.sent if isinstance(each, AuditRecorded)]


def site(*documents: LoggedDocument) -> Site:
    """An installation whose stores agree with its log."""
    held = {projection: HeldList(found) for projection, found in all_of(documents).items()}
    return Site(log=FakeAuditLog(FakeTable(list(documents))), projections=held)


def stray(number: int, *, revision: int = 7) -> Holding:
    """Rows of a document that the log does not know."""
    return held_of(logged(number), revision=revision)


async def test_a_clean_pass_says_when_and_nothing_else() -> None:
    here = site(*map(logged, range(1, 6)))
    outcome = await here.verify()
    assert outcome.result.clean
    [report] = outcome.reports
    assert (report.tenant_id, report.documents, report.counts, report.clean_at) == (ACME, 5, {}, report.finished_at)
    assert report.projections[Projection.VECTORS].rows == 20
    assert all(tally.fingerprint == tally.expected for tally in report.projections.values())
    assert await here.kept.newest(ACME, generation=G1) == report
    assert here.sent == []


async def test_findings_are_kept_recorded_and_measured_but_not_repaired_unasked() -> None:
    here = site(logged(1), logged(2))
    clean = (await here.verify()).reports[0]
    here.projections[Projection.VECTORS].held.pop()
    report = (await here.verify()).reports[0]
    assert report.counts == {Projection.VECTORS: {Difference.MISSING: 1}}
    assert report.clean_at == clean.clean_at
    assert report.repairs == Repairs()
    assert here.trail() == [("consistency.verified", "vectors missing: 1")]
    assert here.reruns() == []
    missing = CONSISTENCY_DIFFERENCES.labels(store="vectors", difference="missing")
    assert missing._value.get() == 1
    here.projections[Projection.VECTORS].held = [held_of(logged(1)), held_of(logged(2))]
    await here.verify()
    assert missing._value.get() == 0


async def test_a_document_that_differs_in_several_stores_runs_again_once() -> None:
    here = site(logged(1), logged(2))
    here.projections[Projection.VECTORS].held[0] = held_of(logged(1), rows=1)
    here.projections[Projection.KEYWORDS].held[0] = held_of(logged(1), policy=FEW)
    here.projections[Projection.DOCUMENTS].held.pop(0)
    report = (await here.verify(repair=True)).reports[0]
    [rerun] = here.reruns()
    assert (rerun.op, rerun.lane, rerun.document_id) == (SubmissionOp.RERUN, Lane.BACKFILL, logged(1).document_id)
    assert (rerun.expected_revision, rerun.actor, rerun.external_id) == (7, ACTOR, "1.md")
    assert report.repairs == Repairs(rerun=1)
    assert ("consistency.repaired", "rerun: 1, removed: 0, refused: 0") in here.trail()


class ReadOnly(HeldList):
    """A store that can be read and takes no deletions."""

    async def remove(self, tenant: TenantId, document: DocumentId, revision: Revision) -> int:
        raise RetryableError("the store takes no deletions")


async def test_what_was_found_is_told_even_where_its_repair_fails() -> None:
    here = site(logged(1))
    here.projections[Projection.KEYWORDS] = ReadOnly([held_of(logged(1)), held_of(logged(1), revision=5)])
    with pytest.raises(RetryableError):
        await here.verify(repair=True)
    assert here.trail() == [("consistency.verified", "keywords extra: 1")]
    kept = await here.kept.newest(ACME, generation=G1)
    assert kept is not None
    assert (kept.clean, kept.repairs) == (False, Repairs())
    assert CONSISTENCY_DIFFERENCES.labels(store="keywords", difference="extra")._value.get() == 1


async def test_stray_rows_go_by_exact_revision_and_what_is_right_stays() -> None:
    deleted = logged(2, op=DocumentOp.DELETED, reports=dict.fromkeys(Store, StoreReports(complete=Revision(7))))
    here = site(logged(1), deleted)
    keywords = here.projections[Projection.KEYWORDS]
    keywords.held += [held_of(logged(1), revision=5), held_of(deleted, revision=6), stray(99)]
    outcome = await here.verify(repair=True)
    assert outcome.result.counts == {(ACME, Projection.KEYWORDS, Difference.EXTRA): 3}
    assert keywords.held == [held_of(logged(1))]
    assert outcome.reports[0].repairs == Repairs(removed=3)
    assert here.reruns() == []
    assert (await here.verify()).result.clean


async def test_what_happens_during_a_pass_is_not_mistaken_for_a_difference() -> None:
    here = site(logged(1), logged(2))
    edited = logged(1, revision=8)
    for projection in Projection:
        rows = 1 if projection is Projection.DOCUMENTS else 4
        here.projections[projection].held[0] = held_of(edited, rows=rows)
    here.log.meanwhile = [edited]
    outcome = await here.verify(repair=True)
    assert outcome.result.clean
    assert here.log.reads == 2
    assert here.sent == []


async def test_while_stages_are_behind_nothing_unfinished_is_judged() -> None:
    overdue = logged(1, revision=8, reports=dict.fromkeys(Store, StoreReports(complete=Revision(7), rows=4)))
    here = site(overdue)
    here.behind = True
    outcome = await here.verify()
    assert (outcome.result.clean, outcome.result.behind, outcome.reports[0].under_way) == (True, True, 1)
    here.behind = False
    assert not (await here.verify()).result.clean


async def test_a_store_that_is_being_rebuilt_is_not_compared_and_nothing_is_run_again_for_it() -> None:
    here = site(logged(1), logged(2))
    clean_at = (await here.verify()).reports[0].clean_at
    here.projections[Projection.VECTORS] = HeldList([])
    here.rebuilding = frozenset({Projection.VECTORS})
    outcome = await here.verify(repair=True)
    assert outcome.result.not_compared == (Projection.VECTORS,)
    assert set(outcome.reports[0].projections) == {Projection.KEYWORDS, Projection.DOCUMENTS}
    assert here.sent == []
    here.rebuilding = frozenset()
    found = await here.verify()
    assert {each.projection for each in found.result.findings} == {Projection.VECTORS}
    assert found.reports[0].clean_at == clean_at


async def test_tenants_are_told_of_their_own_documents_only() -> None:
    here = site(logged(1), logged(2, tenant_id=RIVAL))
    for held in here.projections.values():
        held.held = [each for each in held.held if each.tenant_id == ACME]
    reports = {each.tenant_id: each for each in (await here.verify()).reports}
    assert reports[ACME].clean
    assert {each.document_id for each in reports[RIVAL].findings} == {document_named(2)}
    assert reports[ACME].projections != reports[RIVAL].projections


async def test_a_pass_repairs_no_more_than_it_may() -> None:
    here = site(*map(logged, range(1, 11)))
    here.settings = SETTINGS.model_copy(update={"repair_documents": 3})
    here.projections[Projection.VECTORS].held.clear()
    report = (await here.verify(repair=True)).reports[0]
    assert report.repairs == Repairs(rerun=3, refused=7)
    assert report.counts == {Projection.VECTORS: {Difference.MISSING: 10}}


@pytest.mark.parametrize(
    ("known", "unknown", "removed"), [(5, 10, 10), (5, 11, 0), (200, 20, 20), (200, 21, 0), (0, 1, 0)]
)
async def test_a_log_that_seems_to_have_lost_documents_costs_no_rows(known: int, unknown: int, removed: int) -> None:
    here = site(*map(logged, range(1, known + 1)))
    here.projections[Projection.KEYWORDS].held += [stray(1_000 + n) for n in range(unknown)]
    report = (await here.verify(repair=True)).reports[0]
    assert (report.repairs.removed, report.repairs.refused) == (removed, unknown - removed)
    assert len(here.projections[Projection.KEYWORDS].held) == known + unknown - removed


def test_a_plan_of_nothing_is_empty() -> None:
    planned = plan((), {}, known=0, settings=SETTINGS)
    assert (planned.reruns, planned.removals, dict(planned.refused)) == ((), (), {})


@dataclass(slots=True)
class Scripted:
    """Passes that end as a test says."""

    endings: list[Exception | PassOutcome]
    asked: list[bool] = field(default_factory=list)

    async def run(self, *, repair: bool) -> PassOutcome:
        self.asked.append(repair)
        ending = self.endings.pop(0)
        if isinstance(ending, Exception):
            raise ending
        return ending


def worker(endings: Sequence[Exception | PassOutcome]) -> tuple[Worker, Health, Scripted]:
    health, script = Health(), Scripted(list(endings))
    return (
        Worker(verification=script, health=health, interval_s=0, repair=True, retry_s=0, tick_s=0.001),
        health,
        script,
    )


async def test_a_worker_waits_for_what_is_away_and_goes_on() -> None:
    outcome = await site(logged(1)).verify()
    auditing, health, script = worker([RetryableError("away"), outcome])
    await auditing.step()
    assert health.readiness() == {"pass": "RetryableError"}
    await auditing.step()
    assert health.readiness() == {"pass": None}
    assert script.asked == [True, True]


async def test_only_a_clean_pass_makes_the_age_young() -> None:
    here = site(logged(1))
    clean = await here.verify()
    here.projections[Projection.VECTORS].held.clear()
    auditing, _, _ = worker([await here.verify(), clean])
    now = 100.0
    auditing.clock = lambda: now
    began = auditing._clean_at
    await auditing.step()
    assert auditing._clean_at == began
    await auditing.step()
    assert auditing._clean_at == 100.0


async def test_what_no_waiting_mends_ends_the_worker() -> None:
    auditing, _, _ = worker([FatalError("no index")])
    with pytest.raises(FatalError):
        await auditing.step()
