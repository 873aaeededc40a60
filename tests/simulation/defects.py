"""The defects themselves: each patches production code for as long as a stack is open."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import headwater.access.clauses
import headwater.access.gate
import headwater.clients.kafka.config
import headwater.generations.catching_up
import headwater.generations.lifecycle
import headwater.heads.applying
import headwater.heads.directory_table
import headwater.heads.view
import headwater.heads.waiting
import headwater.rows.builder
import query_api.dependencies
import query_api.retrieval.gatekeeper
import query_api.retrieval.session
import streams.admit.assignment
import streams.admit.backlog
import streams.admit.directory_log
import streams.admit.heads
import streams.admit.state
import streams.admit.step
import streams.admit.transaction
import streams.admit.worker
import streams.embed.agent
import streams.harness.settle
import streams.index_keywords.agent
import streams.index_vectors.agent
import streams.indexing.stage
import streams.indexing.step
import streams.prepare.agent
import streams.sweep.step
import streams.sweep.worker
import tests.simulation.confluent
import tests.simulation.kafka_clients
from headwater.access.gate import GateView, Verdict
from headwater.generations.policy import DEFAULT_POLICY
from schemas.events.directory import DirectoryKind
from schemas.events.documents import Access, DocumentProgressed
from schemas.ids import SYSTEM_TENANT, Revision
from streams.harness.delivery import Delivery, Outcome
from streams.harness.ledger import Ledger
from streams.harness.settle import Settler
from streams.prepare.prepared import prepared_key


def patch_in(stack: contextlib.ExitStack, owner: Any, name: str, value: Any) -> None:
    stack.enter_context(patch.object(owner, name, value))


def acknowledge_first(stack: contextlib.ExitStack) -> None:
    end = Settler._end

    async def settled_before(self: Settler, delivery: Delivery, tries: Any) -> Outcome:
        delivery.settle()
        return await end(self, delivery, tries)

    patch_in(stack, Settler, "_end", settled_before)


def overwrite_rows(stack: contextlib.ExitStack) -> None:
    patch_in(stack, headwater.rows.builder, "row_id", lambda document, revision, ordinal: f"{document}#{ordinal}")


def skip_the_gate(stack: contextlib.ExitStack) -> None:
    patch_in(stack, query_api.retrieval.gatekeeper, "judge_row", lambda *_, **__: Verdict.ADMITTED)


def drop_the_fence(stack: contextlib.ExitStack) -> None:
    patch_in(stack, streams.admit.assignment.Intake, "membership", None)
    open_writer = streams.admit.transaction.TransactionalWriter.__init__
    numbers = iter(range(1_000_000))

    def unnamed(self: Any, settings: Any) -> None:
        open_writer(self, settings)
        self._producer._name += f"-{next(numbers)}"

    patch_in(stack, streams.admit.transaction.TransactionalWriter, "__init__", unnamed)


def read_uncommitted(stack: contextlib.ExitStack) -> None:
    config = headwater.clients.kafka.config.consumer_config

    def uncommitted(*arguments: Any, **options: Any) -> dict[str, Any]:
        return config(*arguments, **options) | {"isolation.level": "read_uncommitted"}

    for module in (streams.admit.assignment, streams.admit.directory_log, tests.simulation.kafka_clients):
        patch_in(stack, module, "consumer_config", uncommitted)


def default_partitioner(stack: contextlib.ExitStack) -> None:
    config = headwater.clients.kafka.config.producer_config

    def default(*arguments: Any, **options: Any) -> dict[str, Any]:
        return config(*arguments, **options) | {"partitioner": "consistent_random"}

    patch_in(stack, tests.simulation.kafka_clients, "producer_config", default)


def sweep_at_once(stack: contextlib.ExitStack) -> None:
    patch_in(stack, streams.sweep.step.Backlog, "__init__", _without_grace(streams.sweep.step.Backlog.__init__))


def _without_grace(begin: Callable[..., None]) -> Callable[..., None]:
    def init(self: Any, *, grace_ms: int) -> None:
        begin(self, grace_ms=0)

    return init


def sweep_by_the_wall_clock(stack: contextlib.ExitStack) -> None:
    add = streams.sweep.step.Backlog.add

    def by_timestamp(self: Any, record: Any, removal: Any, *, now_ms: int) -> None:
        from tests.simulation.loop import START_MS
        from tests.simulation.process import WORLD

        apart_ms = WORLD.get().hosts["stages"].wall_ms() - START_MS - now_ms
        add(self, record, removal, now_ms=(record.timestamp_ms or 0) - START_MS - apart_ms)

    patch_in(stack, streams.sweep.step.Backlog, "add", by_timestamp)


def complete_uncounted(stack: contextlib.ExitStack) -> None:
    patch_in(stack, streams.indexing.step, "require_complete", lambda batch, count: None)
    patch_in(stack, streams.indexing.stage, "retry", _just_once)


async def _just_once(call: Callable[[], Any], *, policy: Any) -> Any:
    try:
        return await call()
    except streams.indexing.stage._RowsNotVisibleYetError:
        return 0


def remember_before_the_commit(stack: contextlib.ExitStack) -> None:
    store = streams.admit.heads.AdmissionHeads.put

    def put_and_persist(self: Any, *arguments: Any, **options: Any) -> None:
        store(self, *arguments, **options)
        self.persist()

    patch_in(stack, streams.admit.heads.AdmissionHeads, "put", put_and_persist)


def ignore_source_version(stack: contextlib.ExitStack) -> None:
    patch_in(stack, streams.admit.step, "_check_order", lambda submission, head: None)


def drop_deny(stack: contextlib.ExitStack) -> None:
    permits = headwater.access.clauses.permits
    patch_in(stack, headwater.access.gate, "permits", lambda access, mine: permits(replace(access, deny=()), mine))


def any_clause_will_do(stack: contextlib.ExitStack) -> None:
    def lenient(access: Access, mine: Any) -> bool:
        return mine.isdisjoint(access.deny) and any(not mine.isdisjoint(each.principals) for each in access.clauses)

    patch_in(stack, headwater.access.gate, "permits", lenient)


def look_up_no_groups(stack: contextlib.ExitStack) -> None:
    patch_in(stack, headwater.heads.directory_table.DirectoryTable, "_reachable", lambda _, tenant, start: set(start))


def show_incomplete_revisions(stack: contextlib.ExitStack) -> None:
    def by_document(head: Any, view: GateView, **_: Any) -> Verdict:
        return headwater.access.gate.judge_document(head, view)

    patch_in(stack, query_api.retrieval.gatekeeper, "judge_row", by_document)


def answer_however_stale(stack: contextlib.ExitStack) -> None:
    for module in (query_api.dependencies, query_api.retrieval.session):
        patch_in(stack, module, "require_current", lambda runtime: runtime.heads.as_of())


def look_at_the_age_once(stack: contextlib.ExitStack) -> None:
    patch_in(stack, query_api.retrieval.session, "require_current", lambda runtime: runtime.heads.as_of())


def age_by_the_wall_clock(stack: contextlib.ExitStack) -> None:
    def as_of(self: Any) -> datetime:
        then = self._read(lambda replica, txn: replica.checkpoints.as_of_ms(txn), 0)
        return datetime.fromtimestamp(then / 1000, tz=UTC)

    patch_in(stack, headwater.heads.view.LmdbHeads, "as_of", as_of)


def do_not_wait_for_tokens(stack: contextlib.ExitStack) -> None:
    async def at_once(self: Any, positions: Any, *, timeout_s: float) -> None:
        return None

    patch_in(stack, headwater.heads.waiting.AppliedPositions, "wait", at_once)


def commit_past_a_gap(stack: contextlib.ExitStack) -> None:
    patch_in(stack, Ledger, "position", lambda self: self.end)


def number_by_the_clock(stack: contextlib.ExitStack) -> None:
    patch_in(stack, streams.admit.step, "next_revision", lambda previous, now_ms: Revision(now_ms))


def patches_replace(stack: contextlib.ExitStack) -> None:
    patched = streams.admit.state.patched

    def forgetful(state: Any, change: Any) -> Any:
        return replace(patched(state, change), attributes=dict(change.attributes))

    patch_in(stack, streams.admit.step, "patched", forgetful)


def tell_nobody_of_what_is_parked(stack: contextlib.ExitStack) -> None:
    async def silent(self: Any, event: Any, delivery: Any, failure: Any) -> None:
        return None

    patch_in(stack, streams.embed.agent.EmbedStage, "give_up", silent)


def sweep_what_failed(stack: contextlib.ExitStack) -> None:
    def eager(event: DocumentProgressed, *, generation: Any) -> streams.sweep.step.Removal:
        return streams.sweep.step.Removal(
            tenant_id=event.tenant_id, document_id=event.document_id, store=event.store, than=event.revision
        )

    patch_in(stack, streams.sweep.worker, "removal_of", eager)


def commit_past_a_turn(stack: contextlib.ExitStack) -> None:
    def past(self: streams.admit.backlog.Window, settled: object) -> streams.admit.backlog.Place:
        return streams.admit.backlog.Place(offset=self._next)

    patch_in(stack, streams.admit.backlog.Window, "after", past)


def forget_the_note(stack: contextlib.ExitStack) -> None:
    begin = streams.admit.backlog.Backlog.begin

    def without_notes(self: streams.admit.backlog.Backlog, places: Mapping[int, streams.admit.backlog.Place]) -> None:
        begin(self, {partition: replace(place, note="") for partition, place in places.items()})

    patch_in(stack, streams.admit.backlog.Backlog, "begin", without_notes)


def forget_what_waits(stack: contextlib.ExitStack) -> None:
    restored = streams.admit.heads.AdmissionHeads.restore_waiting

    def forgetful(self: streams.admit.heads.AdmissionHeads, partition: int, deletions: object) -> None:
        restored(self, partition, {})

    patch_in(stack, streams.admit.heads.AdmissionHeads, "restore_waiting", forgetful)


def switch_before_it_has_caught_up(stack: contextlib.ExitStack) -> None:
    async def proved(self: Any) -> None:
        return None

    patch_in(stack, headwater.generations.catching_up.CatchUp, "prove", proved)


def switch_whatever_came_in_between(stack: contextlib.ExitStack) -> None:
    switch = headwater.generations.lifecycle.Lifecycle._switch

    async def unconcerned(self: Any, name: Any, _: object) -> Any:
        return await switch(self, name, await self.directory.read())

    patch_in(stack, headwater.generations.lifecycle.Lifecycle, "_switch", unconcerned)


def serve_what_is_built(stack: contextlib.ExitStack) -> None:
    def newest(self: headwater.heads.directory_table.DirectoryTable) -> Any:
        entries = self.list(SYSTEM_TENANT, DirectoryKind.GENERATION)
        return max(entries, key=lambda each: each.revision).record_id if entries else None

    patch_in(stack, headwater.heads.directory_table.DirectoryTable, "serving_generation", newest)


def complete_in_any_generation(stack: contextlib.ExitStack) -> None:
    judge = headwater.access.gate.judge_row

    def judge_row(head: Any, view: GateView, *, revision: Revision, store: Any, generation: Any) -> Verdict:
        if head is not None:
            found = [known for (_, where), known in head.complete.items() if where is store]
            head = replace(head, complete={(generation, store): max(found)} if found else {})
        return judge(head, view, revision=revision, store=store, generation=generation)

    patch_in(stack, query_api.retrieval.gatekeeper, "judge_row", judge_row)


def cut_all_alike(stack: contextlib.ExitStack) -> None:
    def without_policy(sha256: str, _: object, **options: Any) -> str:
        return prepared_key(sha256, DEFAULT_POLICY, **options)

    patch_in(stack, streams.prepare.agent, "prepared_key", without_policy)


def ignore_gaps(stack: contextlib.ExitStack) -> None:
    for spec in (
        streams.prepare.agent.PREPARE,
        streams.embed.agent.EMBED,
        streams.index_vectors.agent.INDEX_VECTORS,
        streams.index_keywords.agent.INDEX_KEYWORDS,
    ):
        stack.callback(object.__setattr__, spec, "dense", spec.dense)
        object.__setattr__(spec, "dense", frozenset())


def pass_over_what_expired(stack: contextlib.ExitStack) -> None:
    patch_in(stack, streams.admit.assignment, "gaps", lambda *_: ())
    patch_in(stack, streams.admit.assignment.Intake, "_check_order", lambda *_: None)
