"""What a document submission becomes."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from headwater.heads.directory_table import DirectoryTable
from headwater.settings import LimitSettings, TenantLimits
from schemas.events.base import Lane, Position
from schemas.events.directory import DirectoryKind, Tenant
from schemas.events.documents import NOBODY, Access, Clause, DocumentOp, DocumentSubmitted
from schemas.ids import EVERYONE, SYSTEM_TENANT, KnowledgeBaseId, Principal, Revision, SourceId, TenantId
from streams.admit.context import Context, Usage
from streams.admit.outcomes import Admitted, DocumentDecision, DocumentHead, Drop, Dropped, Refusal, Refused
from streams.admit.step import decide
from tests.support.heads import (
    ACME,
    HANDBOOK,
    NOON,
    NOON_MS,
    blob,
    delete,
    directory_record,
    patch,
    put,
    state,
    world,
)

LIVE_TOPIC = "rag.documents.submitted"


def context(offset: int = 0, *, now_ms: int = NOON_MS, **changes: Any) -> Context:
    values: dict[str, Any] = {
        "now_ms": now_ms,
        "position": Position(topic=LIVE_TOPIC, partition=1, offset=offset),
        "directory": world(),
        "directory_position": 3,
        "partitions": 4,
        "usage": lambda tenant, source: Usage(),
    }
    return Context(**(values | changes))


def admitted(decision: DocumentDecision) -> Admitted:
    assert isinstance(decision, Admitted), decision
    return decision


def refusal(decision: DocumentDecision) -> Refusal:
    assert isinstance(decision, Refused), decision
    return decision.reason


def head_of(*submissions: DocumentSubmitted) -> DocumentHead:
    head: DocumentHead | None = None
    for offset, each in enumerate(submissions):
        head = admitted(decide(each, head, context(offset))).head
    assert head is not None
    return head


class TestPut:
    def test_first_state_is_recorded_whole(self) -> None:
        submission = put(state("Leave", attributes={"year": 2026}, url="https://x"), source_version=7)
        record = admitted(decide(submission, None, context(5))).record
        assert record.op is DocumentOp.UPSERTED
        assert (record.title, record.url, record.attributes) == ("Leave", "https://x", {"year": 2026})
        assert record.revision == NOON_MS
        assert record.source_version == 7
        assert record.directory_position == 3
        assert record.submitted == Position(topic=LIVE_TOPIC, partition=1, offset=5)

    def test_the_same_state_changes_nothing(self) -> None:
        decision = decide(put(), head_of(put()), context(1))
        assert isinstance(decision, Dropped)
        assert decision.reason is Drop.UNCHANGED

    def test_permissions_in_another_order_change_nothing(self) -> None:
        def shared(*principals: str) -> Access:
            return Access(clauses=(Clause(principals=tuple(map(Principal, principals))),))

        head = head_of(put(state(access=shared("user:a", "user:b"))))
        decision = decide(put(state(access=shared("user:b", "user:a", "user:b"))), head, context(1))
        assert isinstance(decision, Dropped)

    @pytest.mark.parametrize(
        "changes",
        [
            {"content": blob("other")},
            {"access": NOBODY},
            {"attributes": {"flag": True}},
            {"title": "Another"},
            {"language": "de"},
        ],
    )
    def test_any_difference_is_a_new_revision(self, changes: dict[str, Any]) -> None:
        head = head_of(put())
        record = admitted(decide(put(state(**changes)), head, context(1))).record
        assert record.revision == NOON_MS + 1

    def test_a_value_of_another_type_is_a_difference(self) -> None:
        head = head_of(put(state(attributes={"flag": 1})))
        admitted(decide(put(state(attributes={"flag": True})), head, context(1)))

    def test_a_clock_that_goes_back_does_not_turn_revisions_back(self) -> None:
        head = head_of(put())
        record = admitted(decide(put(state("New")), head, context(1, now_ms=NOON_MS - 5_000))).record
        assert record.revision == NOON_MS + 1

    def test_holds_and_retention_survive_a_full_state_write(self) -> None:
        until = NOON + timedelta(days=365)
        head = head_of(put(), patch({"holds": ("case-7",), "retain_until": until}))
        record = admitted(decide(put(state("New", retain_until=NOON)), head, context(2))).record
        assert (record.holds, record.retain_until) == (("case-7",), until)


class TestPatch:
    def test_only_named_fields_change(self) -> None:
        head = head_of(put(state("Leave", url="https://x", attributes={"a": 1, "b": 2})))
        record = admitted(decide(patch({"title": "New", "attributes": {"b": 3}}), head, context(1))).record
        assert (record.title, record.url, record.attributes) == ("New", "https://x", {"a": 1, "b": 3})

    def test_clear_empties_fields_and_attributes(self) -> None:
        head = head_of(put(state(url="https://x", attributes={"a": 1, "b": 2})))
        record = admitted(decide(patch({"clear": ("url", "attributes.a", "access")}), head, context(1))).record
        assert (record.url, record.attributes, record.access) == (None, {"b": 2}, NOBODY)

    def test_clear_comes_before_set(self) -> None:
        head = head_of(put(state(attributes={"a": 1})))
        record = admitted(decide(patch({"clear": ("attributes",), "attributes": {"b": 2}}), head, context(1))).record
        assert record.attributes == {"b": 2}

    @pytest.mark.parametrize("name", ["title", "knowledge_base", "revision", "nonsense"])
    def test_what_cannot_be_cleared_is_refused(self, name: str) -> None:
        assert refusal(decide(patch({"clear": (name,)}), head_of(put()), context(1))) is Refusal.INVALID

    def test_a_document_that_never_was_cannot_be_patched(self) -> None:
        assert refusal(decide(patch({"title": "New"}), None, context())) is Refusal.UNKNOWN_DOCUMENT

    def test_a_deleted_document_cannot_be_patched(self) -> None:
        head = head_of(put(), delete())
        assert refusal(decide(patch({"title": "New"}), head, context(2))) is Refusal.UNKNOWN_DOCUMENT

    def test_a_hold_is_released_by_name(self) -> None:
        head = head_of(put(state(holds=("case-7",))), patch({"clear": ("holds",)}))
        assert head.record.holds == ()


class TestDelete:
    def test_nothing_but_ids_and_times_is_left(self) -> None:
        head = head_of(put(state("Secret", url="https://x", attributes={"a": 1}, region="eu"), source_version=3))
        record = admitted(decide(delete(), head, context(1))).record
        assert record.op is DocumentOp.DELETED
        assert (record.title, record.url, record.content, record.attributes) == ("", None, None, {})
        assert (record.access, record.region, record.holds) == (NOBODY, None, ())
        assert record.document_id == head.record.document_id

    def test_what_is_not_there_needs_no_deletion(self) -> None:
        assert decide(delete(), None, context()) == Dropped(reason=Drop.GONE_ALREADY)
        assert isinstance(decide(delete(), head_of(put(), delete()), context(2)), Dropped)

    def test_a_put_after_a_deletion_is_a_higher_revision(self) -> None:
        head = head_of(put(), delete(), put())
        assert head.record.revision == NOON_MS + 2
        assert head.exists

    def test_a_hold_forbids_it(self) -> None:
        head = head_of(put(state(holds=("case-7",))))
        assert refusal(decide(delete(), head, context(1))) is Refusal.HELD

    def test_retention_forbids_it_until_it_ends(self) -> None:
        head = head_of(put(state(retain_until=NOON + timedelta(seconds=1))))
        assert refusal(decide(delete(), head, context(1))) is Refusal.RETAINED
        admitted(decide(delete(), head, context(1, now_ms=NOON_MS + 1_000)))


class TestOrder:
    def test_an_older_state_never_wins(self) -> None:
        head = head_of(put(state("v5"), source_version=5))
        assert refusal(decide(put(state("v4"), source_version=4), head, context(1))) is Refusal.STALE
        assert refusal(decide(delete(source_version=4), head, context(1))) is Refusal.STALE

    def test_equal_versions_follow_the_order_of_arrival(self) -> None:
        head = head_of(put(state("one"), source_version=5))
        admitted(decide(put(state("two"), source_version=5), head, context(1)))

    def test_a_dropped_newer_version_is_remembered(self) -> None:
        head = head_of(put(state("same"), source_version=5))
        dropped = decide(put(state("same"), source_version=9), head, context(1))
        assert isinstance(dropped, Dropped)
        late = put(state("other"), source_version=7)
        assert refusal(decide(late, dropped.head, context(2))) is Refusal.STALE

    def test_a_deletion_is_not_undone_by_an_older_state(self) -> None:
        head = head_of(put(source_version=5), delete(source_version=6))
        assert refusal(decide(put(source_version=5), head, context(2))) is Refusal.STALE

    def test_an_edit_without_a_version_keeps_the_source_s(self) -> None:
        head = head_of(put(source_version=5), patch({"title": "Renamed here"}))
        assert head.record.source_version == 5
        assert refusal(decide(put(source_version=4), head, context(2))) is Refusal.STALE

    def test_expected_revision_must_be_the_current_one(self) -> None:
        head = head_of(put())
        wrong, right = Revision(NOON_MS - 1), Revision(NOON_MS)
        assert refusal(decide(put(state("x"), expected_revision=wrong), head, context(1))) is Refusal.REVISION_MISMATCH
        admitted(decide(put(state("x"), expected_revision=right), head, context(1)))

    def test_expected_revision_zero_means_must_not_exist(self) -> None:
        none = Revision(0)
        admitted(decide(put(expected_revision=none), None, context()))
        admitted(decide(put(expected_revision=none), head_of(put(), delete()), context(2)))
        assert refusal(decide(put(expected_revision=none), head_of(put()), context(1))) is Refusal.REVISION_MISMATCH


class TestReplay:
    def test_a_submission_read_twice_counts_once(self) -> None:
        submission = put()
        head = admitted(decide(submission, None, context(4))).head
        later = admitted(decide(patch({"title": "Newer"}), head, context(5))).head
        assert decide(submission, later, context(4)) == Dropped(reason=Drop.REPLAYED)

    def test_the_lanes_count_apart(self) -> None:
        head = admitted(decide(put(), None, context(100))).head
        backfill = put(state("From the backfill"), lane=Lane.BACKFILL)
        admitted(decide(backfill, head, context(3)))

    def test_a_record_names_the_newest_submission_of_each_lane(self) -> None:
        assert (head_of(put()).record.live_offset, head_of(put()).record.backfill_offset) == (0, None)
        bulk = admitted(decide(put(lane=Lane.BACKFILL), None, context(40))).head
        dropped = decide(put(lane=Lane.BACKFILL), bulk, context(41))
        assert isinstance(dropped, Dropped)
        edit = admitted(decide(put(state("Edited")), dropped.head, context(7)))
        assert (edit.record.live_offset, edit.record.backfill_offset) == (7, 41)
        assert edit.head.record == edit.record

    def test_a_topic_that_was_created_anew_is_no_replay(self) -> None:
        head = admitted(decide(put(), None, context(4_000))).head
        later = put(state("New"), observed_at=NOON + timedelta(hours=1))
        admitted(decide(later, head, context(0)))

    def test_the_same_decision_has_the_same_event_id(self) -> None:
        submission = put()
        first, second = (admitted(decide(submission, None, context(4))).record for _ in range(2))
        assert first == second


class TestRights:
    @pytest.mark.parametrize(
        ("kind", "record_id", "tenant", "reason"),
        [
            (DirectoryKind.TENANT, "acme", SYSTEM_TENANT, Refusal.UNKNOWN_TENANT),
            (DirectoryKind.SOURCE, "files", ACME, Refusal.UNKNOWN_SOURCE),
            (DirectoryKind.KNOWLEDGE_BASE, "handbook", ACME, Refusal.UNKNOWN_KNOWLEDGE_BASE),
        ],
    )
    def test_what_is_not_in_the_directory_is_refused(
        self, kind: DirectoryKind, record_id: str, tenant: TenantId, reason: Refusal
    ) -> None:
        directory = world()
        directory.apply(directory_record(kind, record_id, None, tenant=tenant))
        assert refusal(decide(put(), None, context(directory=directory))) is reason

    def test_an_empty_directory_admits_nothing(self) -> None:
        assert refusal(decide(put(), None, context(directory=DirectoryTable()))) is Refusal.UNKNOWN_TENANT

    def test_only_the_owning_source_writes(self) -> None:
        head = head_of(put())
        foreign = replace(head, record=replace(head.record, source=SourceId("wiki")))
        assert refusal(decide(put(), foreign, context(1))) is Refusal.NOT_OWNER

    def test_an_id_of_another_document_is_refused(self) -> None:
        forged = put(document_id="0" * 32)
        assert refusal(decide(forged, None, context())) is Refusal.INVALID

    def test_a_document_in_a_deleted_knowledge_base_can_be_released_for_deletion(self) -> None:
        head = head_of(put(state(holds=("case-7",))))
        directory = world()
        directory.apply(directory_record(DirectoryKind.KNOWLEDGE_BASE, HANDBOOK, None))
        admitted(decide(patch({"clear": ("holds",)}), head, context(1, directory=directory)))
        elsewhere = patch({"knowledge_base": KnowledgeBaseId("gone")})
        assert refusal(decide(elsewhere, head, context(1))) is Refusal.UNKNOWN_KNOWLEDGE_BASE

    def test_content_of_another_region_is_refused(self) -> None:
        submission = put(state(region="us"))
        assert refusal(decide(submission, None, context(region="eu"))) is Refusal.WRONG_REGION
        admitted(decide(submission, None, context(region="us")))


class TestLimits:
    def test_a_full_tenant_takes_no_new_document_but_edits(self) -> None:
        full = context(
            1,
            directory=world(tenant=Tenant(name="A", max_documents=8)),
            usage=lambda tenant, source: Usage(documents=2),
        )
        assert refusal(decide(put(), None, full)) is Refusal.QUOTA_DOCUMENTS
        admitted(decide(put(state("Edited")), head_of(put()), full))

    def test_content_may_shrink_but_not_grow_beyond_the_quota(self) -> None:
        full = context(
            1,
            directory=world(tenant=Tenant(name="A", max_content_bytes=40)),
            usage=lambda tenant, source: Usage(documents=1, content_bytes=10),
        )
        head = head_of(put(state(content=blob("0123456789"))))
        assert refusal(decide(put(state(content=blob("01234567890"))), head, full)) is Refusal.QUOTA_CONTENT_BYTES
        admitted(decide(put(state(content=blob("012"))), head, full))

    def test_a_file_above_the_limit_is_refused_by_name_and_remedy(self) -> None:
        small = context(limits=LimitSettings(max_file_bytes=9))
        decision = decide(put(state(content=blob("0123456789"))), None, small)
        assert refusal(decision) is Refusal.FILE_TOO_LARGE
        assert isinstance(decision, Refused)
        assert decision.detail.startswith("content: 10 bytes, and a file may have 9:")
        admitted(decide(put(state(content=blob("012345678"))), None, small))

    def test_a_file_that_is_there_keeps_its_place_when_the_limit_is_lowered(self) -> None:
        content = blob("0123456789")
        lowered = context(1, limits=LimitSettings(max_file_bytes=9))
        admitted(decide(put(state("Renamed", content=content)), head_of(put(state(content=content))), lowered))
        grown = put(state(content=blob("0123456789+")))
        assert refusal(decide(grown, head_of(put(state(content=content))), lowered)) is Refusal.FILE_TOO_LARGE

    def test_a_tenants_own_limits_go_before_those_of_everybody(self) -> None:
        mine = TenantLimits(max_file_bytes=20)
        limits = LimitSettings(max_file_bytes=9, max_documents=8, tenants={ACME: mine})
        assert limits.of(ACME) == TenantLimits(max_file_bytes=20, max_documents=8, max_pages=5_000)
        assert limits.of("other") == TenantLimits(max_file_bytes=9, max_documents=8, max_pages=5_000)
        full = context(1, limits=limits, usage=lambda tenant, source: Usage(documents=2))
        assert refusal(decide(put(state(content=blob("0123456789"))), None, full)) is Refusal.QUOTA_DOCUMENTS
        roomy = context(1, limits=limits, directory=world(tenant=Tenant(name="A", max_documents=100)), usage=full.usage)
        admitted(decide(put(state(content=blob("0123456789"))), None, roomy))

    def test_unlimited_for_one_tenant_is_said_by_null(self) -> None:
        limits = LimitSettings.model_validate({"max_file_bytes": 9, "tenants": {"big": {"max_file_bytes": None}}})
        assert limits.of("big").max_file_bytes is None


class TestForm:
    @pytest.mark.parametrize(
        "submission",
        [
            replace(put(), state=None),
            replace(delete(), state=state()),
            replace(patch({}), patch=None),
            put(state(attributes={"a b": 1})),
            put(state(attributes={f"a{n}": n for n in range(200)})),
            put(state(attributes={"a": float("inf")})),
            patch({"attributes": {"a": (1, float("nan"))}}),
            put(state("x" * 300_000)),
            put(state(access=Access(clauses=(Clause(principals=(Principal("root"),)),)))),
            put(state(content=replace(blob(), sha256="ABC"))),
        ],
    )
    def test_what_contradicts_itself_is_refused(self, submission: DocumentSubmitted) -> None:
        head = None if submission.patch is None else head_of(put())
        assert refusal(decide(submission, head, context(1))) is Refusal.INVALID

    def test_everyone_users_and_groups_are_principals(self) -> None:
        principals = (EVERYONE, Principal("user:ann@example.org"), Principal("group:files:staff:all"))
        admitted(decide(put(state(access=Access(clauses=(Clause(principals=principals),)))), None, context()))
