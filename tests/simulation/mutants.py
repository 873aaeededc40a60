"""Deliberate defects: each takes one promise out of production code, and an oracle must notice.

A mutant that no seed finds says that the simulation is blind there, not that the code is safe.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import headwater.access.gate
import headwater.clients.kafka.config
import headwater.heads.applying
import headwater.heads.waiting
import headwater.rows.builder
import query_api.dependencies
import query_api.retrieval.gatekeeper
import streams.admit.assignment
import streams.admit.heads
import streams.admit.state
import streams.admit.step
import streams.admit.transaction
import streams.admit.worker
import streams.embed.agent
import streams.harness.settle
import streams.indexing.stage
import streams.indexing.step
import streams.sweep.step
import tests.simulation.confluent
import tests.simulation.kafka_clients
from headwater.access.gate import GateView, Verdict
from schemas.events.documents import Access, DocumentProgressed
from schemas.ids import Revision
from streams.harness.delivery import Delivery, Outcome
from streams.harness.ledger import Ledger
from streams.harness.settle import Settler


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One defect, the oracles that may find it, and a seed of the standard run that does."""

    name: str
    defect: str
    found_by: str  # letters of the oracles
    seed: int
    apply: Callable[[contextlib.ExitStack], None]


def _put(stack: contextlib.ExitStack, owner: Any, name: str, value: Any) -> None:
    stack.enter_context(patch.object(owner, name, value))


def _acknowledge_first(stack: contextlib.ExitStack) -> None:
    end = Settler._end

    async def settled_before(self: Settler, delivery: Delivery, tries: Any) -> Outcome:
        delivery.settle()
        return await end(self, delivery, tries)

    _put(stack, Settler, "_end", settled_before)


def _overwrite_rows(stack: contextlib.ExitStack) -> None:
    _put(stack, headwater.rows.builder, "row_id", lambda document, revision, ordinal: f"{document}#{ordinal}")


def _skip_the_gate(stack: contextlib.ExitStack) -> None:
    _put(stack, query_api.retrieval.gatekeeper, "judge_row", lambda *_, **__: Verdict.ADMITTED)


def _drop_the_fence(stack: contextlib.ExitStack) -> None:
    _put(stack, streams.admit.assignment.Intake, "membership", None)
    open_writer = streams.admit.transaction.TransactionalWriter.__init__
    numbers = iter(range(1_000_000))

    def unnamed(self: Any, settings: Any) -> None:
        open_writer(self, settings)
        self._producer._name += f"-{next(numbers)}"

    _put(stack, streams.admit.transaction.TransactionalWriter, "__init__", unnamed)


def _read_uncommitted(stack: contextlib.ExitStack) -> None:
    config = headwater.clients.kafka.config.consumer_config

    def uncommitted(*arguments: Any, **options: Any) -> dict[str, Any]:
        return config(*arguments, **options) | {"isolation.level": "read_uncommitted"}

    for module in (streams.admit.assignment, tests.simulation.kafka_clients):
        _put(stack, module, "consumer_config", uncommitted)


def _default_partitioner(stack: contextlib.ExitStack) -> None:
    config = headwater.clients.kafka.config.producer_config

    def default(*arguments: Any, **options: Any) -> dict[str, Any]:
        return config(*arguments, **options) | {"partitioner": "consistent_random"}

    _put(stack, tests.simulation.kafka_clients, "producer_config", default)


def _sweep_at_once(stack: contextlib.ExitStack) -> None:
    _put(stack, streams.sweep.step.Backlog, "__init__", _without_grace(streams.sweep.step.Backlog.__init__))


def _without_grace(begin: Callable[..., None]) -> Callable[..., None]:
    def init(self: Any, *, grace_ms: int) -> None:
        begin(self, grace_ms=0)

    return init


def _sweep_by_the_wall_clock(stack: contextlib.ExitStack) -> None:
    add = streams.sweep.step.Backlog.add

    def by_timestamp(self: Any, record: Any, removal: Any, *, now_ms: int) -> None:
        from tests.simulation.loop import START_MS
        from tests.simulation.process import WORLD

        apart_ms = WORLD.get().hosts["stages"].wall_ms() - START_MS - now_ms
        add(self, record, removal, now_ms=(record.timestamp_ms or 0) - START_MS - apart_ms)

    _put(stack, streams.sweep.step.Backlog, "add", by_timestamp)


def _complete_uncounted(stack: contextlib.ExitStack) -> None:
    _put(stack, streams.indexing.step, "require_complete", lambda batch, count: None)
    _put(stack, streams.indexing.stage, "retry", _just_once)


async def _just_once(call: Callable[[], Any], *, policy: Any) -> Any:
    try:
        return await call()
    except streams.indexing.stage._RowsNotVisibleYetError:
        return 0


def _progress_goes_down(stack: contextlib.ExitStack) -> None:
    _put(stack, headwater.heads.applying, "decode_revision", lambda _: Revision(0))


def _remember_what_was_aborted(stack: contextlib.ExitStack) -> None:
    heads = streams.admit.heads.AdmissionHeads
    _put(stack, heads, "discard", lambda self: None)
    persist = heads.persist

    def persist_and_clear(self: Any) -> None:
        persist(self)
        self._new_heads.clear()
        self._new_counters.clear()
        self._next = {}

    _put(stack, heads, "persist", persist_and_clear)


def _remember_before_the_commit(stack: contextlib.ExitStack) -> None:
    put = streams.admit.heads.AdmissionHeads.put

    def put_and_persist(self: Any, *arguments: Any, **options: Any) -> None:
        put(self, *arguments, **options)
        self.persist()

    _put(stack, streams.admit.heads.AdmissionHeads, "put", put_and_persist)


def _ignore_source_version(stack: contextlib.ExitStack) -> None:
    _put(stack, streams.admit.step, "_check_order", lambda submission, head: None)


def _drop_deny(stack: contextlib.ExitStack) -> None:
    permits = headwater.access.gate.permits
    _put(stack, headwater.access.gate, "permits", lambda access, mine: permits(replace(access, deny=()), mine))


def _any_clause_will_do(stack: contextlib.ExitStack) -> None:
    def lenient(access: Access, mine: Any) -> bool:
        return mine.isdisjoint(access.deny) and any(not mine.isdisjoint(each.principals) for each in access.clauses)

    _put(stack, headwater.access.gate, "permits", lenient)


def _show_incomplete_revisions(stack: contextlib.ExitStack) -> None:
    def by_document(head: Any, view: GateView, **_: Any) -> Verdict:
        return headwater.access.gate.judge_document(head, view)

    _put(stack, query_api.retrieval.gatekeeper, "judge_row", by_document)


def _answer_however_stale(stack: contextlib.ExitStack) -> None:
    _put(stack, query_api.dependencies.Freshness, "require_current", lambda self: self.runtime.heads.as_of())


def _do_not_wait_for_tokens(stack: contextlib.ExitStack) -> None:
    async def at_once(self: Any, positions: Any, *, timeout_s: float) -> None:
        return None

    _put(stack, headwater.heads.waiting.AppliedPositions, "wait", at_once)


def _commit_past_a_gap(stack: contextlib.ExitStack) -> None:
    _put(stack, Ledger, "position", lambda self: self.end)


def _number_by_the_clock(stack: contextlib.ExitStack) -> None:
    _put(stack, streams.admit.step, "next_revision", lambda previous, now_ms: Revision(now_ms))


def _patches_replace(stack: contextlib.ExitStack) -> None:
    patched = streams.admit.state.patched

    def forgetful(state: Any, change: Any) -> Any:
        return replace(patched(state, change), attributes=dict(change.attributes))

    _put(stack, streams.admit.step, "patched", forgetful)


def _gone_before_it_is(stack: contextlib.ExitStack) -> None:
    async def only_say_so(self: Any, event: Any) -> None:
        await self._report(streams.indexing.step.gone(event, self.store, at=event.occurred_at))

    _put(stack, streams.indexing.stage.IndexStage, "_remove", only_say_so)


def _tell_nobody_of_what_is_parked(stack: contextlib.ExitStack) -> None:
    async def silent(self: Any, event: Any, delivery: Any, failure: Any) -> None:
        return None

    _put(stack, streams.embed.agent.EmbedStage, "give_up", silent)


def _sweep_what_failed(stack: contextlib.ExitStack) -> None:
    def eager(event: DocumentProgressed, *, generation: Any) -> streams.sweep.step.Removal:
        return streams.sweep.step.Removal(
            tenant_id=event.tenant_id, document_id=event.document_id, store=event.store, than=event.revision
        )

    import streams.sweep.worker

    _put(stack, streams.sweep.worker, "removal_of", eager)


def _judge_by_an_old_directory(stack: contextlib.ExitStack) -> None:
    judge = headwater.access.gate.judge_document

    def hasty(head: Any, view: GateView) -> Verdict:
        return judge(None if head is None else replace(head, directory_position=0), view)

    _put(stack, headwater.access.gate, "judge_document", hasty)


MUTANTS: Sequence[Mutant] = (
    Mutant(name="acknowledge-first", defect="an event is acknowledged before its effect", found_by="acef", seed=0, apply=_acknowledge_first),
    Mutant(name="overwrite-rows", defect="row ids without the revision: a write replaces an older one", found_by="abeh", seed=0, apply=_overwrite_rows),
    Mutant(name="skip-gate", defect="what a store returns is shown", found_by="b", seed=0, apply=_skip_the_gate),
    Mutant(name="drop-fence", defect="admission commits without its group's metadata and under a new transactional id each start", found_by="cdf", seed=0, apply=_drop_the_fence),
    Mutant(name="read-uncommitted", defect="consumers see what was never committed", found_by="abcdefgh", seed=0, apply=_read_uncommitted),
    Mutant(name="default-partitioner", defect="stages produce with librdkafka's own partitioner", found_by="ace", seed=0, apply=_default_partitioner),
    Mutant(name="sweep-at-once", defect="older rows go without a grace", found_by="h", seed=0, apply=_sweep_at_once),
    Mutant(name="sweep-by-wall-clock", defect="the grace is counted from the record's timestamp on the sweeper's wall clock (as it was before ADR 0070)", found_by="ah", seed=0, apply=_sweep_by_the_wall_clock),
    Mutant(name="complete-uncounted", defect="a revision is reported complete without counting its rows", found_by="h", seed=0, apply=_complete_uncounted),
    Mutant(name="progress-down", defect="a late report lowers the complete revision", found_by="bdh", seed=0, apply=_progress_goes_down),
    Mutant(name="remember-aborted", defect="heads keep what an aborted transaction decided", found_by="cdf", seed=0, apply=_remember_what_was_aborted),
    Mutant(name="remember-early", defect="heads are written before the transaction is committed", found_by="cdf", seed=0, apply=_remember_before_the_commit),
    Mutant(name="ignore-source-version", defect="an older state of the source is admitted", found_by="f", seed=0, apply=_ignore_source_version),
    Mutant(name="drop-deny", defect="the gate forgets `deny`", found_by="b", seed=0, apply=_drop_deny),
    Mutant(name="any-clause", defect="one matching clause is enough", found_by="b", seed=0, apply=_any_clause_will_do),
    Mutant(name="show-incomplete", defect="the gate asks for no complete revision", found_by="b", seed=0, apply=_show_incomplete_revisions),
    Mutant(name="however-stale", defect="the staleness budget fails open", found_by="b", seed=0, apply=_answer_however_stale),
    Mutant(name="no-token", defect="`after=` does not wait", found_by="g", seed=0, apply=_do_not_wait_for_tokens),
    Mutant(name="commit-past-gap", defect="commits pass what is delivered and unsettled", found_by="ace", seed=0, apply=_commit_past_a_gap),
    Mutant(name="number-by-clock", defect="revisions are the wall clock alone", found_by="d", seed=0, apply=_number_by_the_clock),
    Mutant(name="patches-replace", defect="a patch drops the attributes that it does not name", found_by="f", seed=0, apply=_patches_replace),
    Mutant(name="gone-unremoved", defect="a deletion is reported before rows are removed", found_by="a", seed=0, apply=_gone_before_it_is),
    Mutant(name="park-silently", defect="`embed` parks a part and tells nobody", found_by="ec", seed=0, apply=_tell_nobody_of_what_is_parked),
    Mutant(name="sweep-failed", defect="a failed revision lets the older rows go", found_by="ah", seed=0, apply=_sweep_what_failed),
    Mutant(name="old-directory", defect="the gate does not wait for the directory that a document's writer had read", found_by="b", seed=0, apply=_judge_by_an_old_directory),
)


@contextlib.contextmanager
def mutated(mutant: Mutant) -> Iterator[None]:
    """Run with the defect in place."""
    with contextlib.ExitStack() as stack:
        mutant.apply(stack)
        yield


BY_NAME: Mapping[str, Mutant] = {mutant.name: mutant for mutant in MUTANTS}
