"""One suite for the DocumentReadModel port, on the fake and on Elasticsearch."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from headwater.clients.elasticsearch.cursors import CursorError
from headwater.clients.elasticsearch.read_model import ElasticsearchDocuments
from headwater.ports.read_model import (
    DocumentReadModel,
    DocumentStatus,
    Letter,
    LetterFilter,
    Listing,
)
from headwater.ports.rows import Equals
from headwater.settings import Settings
from schemas.events.base import Position, Store
from schemas.events.documents import (
    NOBODY,
    Access,
    Clause,
    DocumentChanged,
    DocumentOp,
    ProgressOutcome,
)
from schemas.events.parked import EventParked, LetterState
from schemas.ids import (
    EVERYONE,
    GenerationName,
    KnowledgeBaseId,
    Principal,
    Revision,
    SourceId,
)
from tests.support.documents_corner import G1, NOON, Corner, at, letters, listed, store_states
from tests.support.golden import golden
from tests.support.polling import until
from tests.support.read_model import FakeDocuments
from tests.support.rows import RIVAL, scope_of


class DocumentReadModelContract:
    """Subclasses provide the `model` fixture."""

    @pytest.fixture
    def corner(self) -> Corner:
        return Corner()

    async def test_a_state_is_found_by_id_on_return(self, model: DocumentReadModel, corner: Corner) -> None:
        state = corner.state("a")
        await model.record_states([(state, at(1))])
        view = await model.get_document(corner.tenant, state.document_id, generation=G1)
        assert view is not None
        assert view.state == state
        assert view.status is DocumentStatus.PENDING
        assert await model.get_document(RIVAL, state.document_id, generation=G1) is None
        assert await model.get_document(corner.tenant, corner.document("b"), generation=G1) is None

    async def test_a_late_state_never_wins(self, model: DocumentReadModel, corner: Corner) -> None:
        newer, older = corner.state("a", revision=9, title="New"), corner.state("a", revision=8, title="Old")
        await model.record_states([(newer, at(2)), (older, at(1)), (newer, at(2))])
        await model.record_states([(older, at(1))])
        view = await model.get_document(corner.tenant, newer.document_id, generation=G1)
        assert view is not None
        assert view.state == newer

    async def test_status_follows_the_stores(self, model: DocumentReadModel, corner: Corner) -> None:
        await model.record_states([(corner.state("a"), at(1))])
        for store, status in (
            (Store.KEYWORDS, DocumentStatus.PARTIAL),
            (Store.VECTORS, DocumentStatus.SEARCHABLE),
        ):
            await model.record_progress([corner.progress("a", store)])
            view = await model.get_document(corner.tenant, corner.document("a"), generation=G1)
            assert view is not None
            assert view.status is status

    async def test_generations_are_told_apart(self, model: DocumentReadModel, corner: Corner) -> None:
        g2 = GenerationName("g2")
        await model.record_progress([corner.progress("a", store, generation=g2) for store in Store])
        assert (await store_states(model, corner, generation=G1))[Store.VECTORS].latest is None
        states = await store_states(model, corner, generation=g2)
        assert {store for store, state in states.items() if state.complete} == set(Store)

    async def test_progress_only_counts_upwards(self, model: DocumentReadModel, corner: Corner) -> None:
        newer, older = (corner.progress("a", Store.VECTORS, revision=revision) for revision in (9, 8))
        await model.record_progress([newer])
        await model.record_progress([older])
        state = (await store_states(model, corner, generation=G1))[Store.VECTORS]
        assert (state.latest, state.complete) == (newer, newer)

    async def test_a_failure_leaves_the_older_complete_revision(self, model: DocumentReadModel, corner: Corner) -> None:
        complete = corner.progress("a", Store.VECTORS, revision=8)
        failed = corner.progress("a", Store.VECTORS, revision=9, outcome=ProgressOutcome.FAILED)
        await model.record_states([(corner.state("a", revision=9), at(2))])
        await model.record_progress([complete, failed])
        view = await model.get_document(corner.tenant, corner.document("a"), generation=G1)
        assert view is not None
        assert view.status is DocumentStatus.FAILED
        assert (view.stores[Store.VECTORS].latest, view.stores[Store.VECTORS].complete) == (failed, complete)

    async def test_a_replay_that_succeeds_is_not_undone_by_a_late_failure(
        self, model: DocumentReadModel, corner: Corner
    ) -> None:
        failed = corner.progress("a", Store.VECTORS, outcome=ProgressOutcome.FAILED)
        complete = corner.progress("a", Store.VECTORS)
        for event in (failed, complete, failed):
            await model.record_progress([event])
        state = (await store_states(model, corner, generation=G1))[Store.VECTORS]
        assert state.latest == complete
        assert [row.progress for row in await model.lineage(corner.tenant, corner.document("a"))] == [complete]

    async def test_lineage_tells_every_step_newest_first(self, model: DocumentReadModel, corner: Corner) -> None:
        states = [corner.state("a", revision=revision) for revision in (7, 8)]
        reports = [corner.progress("a", store, revision=7) for store in Store]
        await model.record_states([(state, at(n)) for n, state in enumerate(states)])
        await model.record_progress(reports)
        rows = await model.lineage(corner.tenant, corner.document("a"))
        assert [(row.revision, row.changed, row.progress and row.progress.store) for row in rows] == [
            (8, at(1), None),
            (7, at(0), None),
            (7, None, Store.KEYWORDS),
            (7, None, Store.VECTORS),
        ]
        assert rows[1].state == states[0]
        assert rows[2].progress in reports
        assert list(await model.lineage(RIVAL, corner.document("a"))) == []

    async def test_of_refused_submissions_the_newest_is_kept_and_is_no_step_of_the_lineage(
        self, model: DocumentReadModel, corner: Corner
    ) -> None:
        newer, older = corner.refusal("a", minutes=2), corner.refusal("a", minutes=1)
        await model.record_refusals([newer])
        await model.record_refusals([older, corner.refusal("b")])
        assert await model.last_refusal(corner.tenant, newer.document_id) == newer
        assert await model.last_refusal(RIVAL, newer.document_id) is None
        assert await model.last_refusal(corner.tenant, corner.document("c")) is None
        await model.record_states([(corner.state("a"), at(1))])
        assert [row.revision for row in await model.lineage(corner.tenant, newer.document_id)] == [7]

    async def test_a_listing_is_paged_newest_first(self, model: DocumentReadModel, corner: Corner) -> None:
        await model.record_states([(corner.state(f"d{n}", minutes=n), at(n)) for n in range(5)])
        await listed(model, corner.scope(), expected=5)
        seen: list[str] = []
        cursor: str | None = None
        while True:
            page = await model.list_documents(corner.scope(), Listing(), generation=G1, limit=2, cursor=cursor)
            seen += [view.state.external_id for view in page.documents]
            cursor = page.cursor
            if cursor is None:
                break
        assert seen == ["d4", "d3", "d2", "d1", "d0"]

    async def test_a_listing_shows_what_the_caller_may_read(self, model: DocumentReadModel, corner: Corner) -> None:
        staff = Principal("group:hr:staff")
        secret = replace(corner.state("secret"), access=Access(clauses=(Clause(principals=(staff,)),)))
        hidden = replace(corner.state("hidden"), access=NOBODY)
        await model.record_states([(corner.state("open"), at(1)), (secret, at(2)), (hidden, at(3))])
        await listed(model, corner.scope(EVERYONE, staff), expected=2)
        page = await listed(model, corner.scope(EVERYONE), expected=1)
        assert page.documents[0].state.external_id == "open"

    async def test_a_deletion_leaves_the_listing(self, model: DocumentReadModel, corner: Corner) -> None:
        await model.record_states([(corner.state("a"), at(1))])
        await listed(model, corner.scope(), expected=1)
        assert await model.count_documents(corner.tenant, corner.state("a").source) == 1
        gone = replace(
            golden(DocumentChanged, "deleted"),
            tenant_id=corner.tenant,
            document_id=corner.document("a"),
            revision=Revision(8),
        )
        await model.record_states([(gone, at(2))])
        await model.record_progress(
            [corner.progress("a", store, revision=8, outcome=ProgressOutcome.GONE) for store in Store]
        )
        await listed(model, corner.scope(), expected=0)
        assert await model.count_documents(corner.tenant, corner.state("a").source) == 0
        view = await model.get_document(corner.tenant, corner.document("a"), generation=G1)
        assert view is not None
        assert (view.state.op, view.status) == (DocumentOp.DELETED, DocumentStatus.DELETED)

    async def test_a_listing_is_filtered(self, model: DocumentReadModel, corner: Corner) -> None:
        wiki = replace(
            corner.state("wiki", minutes=5, title="Expenses abroad"),
            source=SourceId("wiki"),
            knowledge_base=KnowledgeBaseId("wiki"),
        )
        await model.record_states([(corner.state("a", title="Travel policy"), at(1)), (wiki, at(2))])
        await model.record_progress([corner.progress("wiki", store) for store in Store])
        await listed(model, corner.scope(), expected=2)
        tenant = corner.tenant
        for scope, listing, found in (
            (scope_of(tenant=tenant, where=Equals("source", "wiki")), Listing(), {"wiki"}),
            (scope_of(tenant=tenant, knowledge_bases=(KnowledgeBaseId("wiki"),)), Listing(), {"wiki"}),
            (corner.scope(), Listing(title="policy travel"), {"a"}),
            (corner.scope(), Listing(title="policy abroad"), set()),
            (corner.scope(), Listing(title='* OR title:"'), set()),
            (corner.scope(), Listing(updated_from=NOON + timedelta(minutes=5)), {"wiki"}),
            (corner.scope(), Listing(updated_until=NOON + timedelta(minutes=5)), {"a"}),
            (corner.scope(), Listing(status=DocumentStatus.SEARCHABLE), {"wiki"}),
            (corner.scope(), Listing(status=DocumentStatus.PENDING), {"a"}),
            (corner.scope(), Listing(status=DocumentStatus.FAILED), set()),
        ):
            page = await model.list_documents(scope, listing, generation=G1, limit=10)
            assert {view.state.external_id for view in page.documents} == found

    @pytest.mark.parametrize("cursor", ["", "x", "W10=", "e30=", "WyJhIiwgMV0=", "é"])
    async def test_a_foreign_cursor_is_refused_clearly(
        self, model: DocumentReadModel, corner: Corner, cursor: str
    ) -> None:
        with pytest.raises(CursorError, match="cursor"):
            await model.list_documents(corner.scope(), Listing(), generation=G1, limit=2, cursor=cursor)

    async def test_dead_letters_are_listed_newest_first_without_their_bytes(
        self, model: DocumentReadModel, corner: Corner
    ) -> None:
        parked = [corner.parked("a", offset=n, minutes=n) for n in range(3)]
        await model.record_parked(parked)
        await model.record_parked(parked[:1])
        await letters(model, corner.tenant, expected=range(3))
        wanted = LetterFilter(tenant=corner.tenant)
        first = await model.list_letters(wanted, limit=2)
        rest = await model.list_letters(wanted, limit=2, cursor=first.cursor)
        assert [letter.parked.origin.offset for letter in (*first.letters, *rest.letters)] == [2, 1, 0]
        assert rest.cursor is None
        bare = replace(parked[0], key=None, value=b"", headers=())
        assert rest.letters == (Letter(parked=bare),)
        assert await model.get_letter(corner.tenant, bare.origin) == Letter(parked=bare)
        assert await model.get_letter(None, bare.origin) == Letter(parked=bare)
        assert await model.get_letter(RIVAL, bare.origin) is None
        assert not (await model.list_letters(LetterFilter(tenant=RIVAL), limit=2)).letters
        everyone = await model.list_letters(LetterFilter(tenant=None, document=corner.document("a")), limit=5)
        assert len(everyone.letters) == 3

    async def test_dead_letters_are_filtered_and_grouped_by_cause(
        self, model: DocumentReadModel, corner: Corner
    ) -> None:
        embed = replace(corner.parked("b", offset=3, minutes=3), stage="embed")
        other = replace(corner.parked("c", offset=4, minutes=4), error="LimitExceededError")
        await model.record_parked([corner.parked("a", offset=n, minutes=n) for n in range(3)] + [embed, other])
        await letters(model, corner.tenant, expected=range(5))
        for wanted, offsets in (
            ({"stage": "embed"}, {3}),
            ({"error": "LimitExceededError"}, {4}),
            ({"document": corner.document("a")}, {0, 1, 2}),
            ({"parked_from": NOON + timedelta(minutes=3)}, {3, 4}),
            ({"parked_until": NOON + timedelta(minutes=3)}, {0, 1, 2}),
            ({"stage": "embed", "error": "LimitExceededError"}, set()),
        ):
            await letters(model, corner.tenant, expected=offsets, **wanted)
        unreadable = "UnreadableDocumentError"
        assert [
            (group.stage, group.error, group.count, group.oldest, group.newest)
            for group in await model.group_letters(LetterFilter(tenant=corner.tenant))
        ] == [
            ("prepare", unreadable, 3, NOON, NOON + timedelta(minutes=2)),
            ("embed", unreadable, 1, embed.parked_at, embed.parked_at),
            ("prepare", "LimitExceededError", 1, other.parked_at, other.parked_at),
        ]
        assert [group.count for group in await model.group_letters(LetterFilter(tenant=RIVAL))] == []

    async def test_what_was_done_about_a_letter_stays_in_whatever_order_it_comes(
        self, model: DocumentReadModel, corner: Corner
    ) -> None:
        parked = [corner.parked("a", offset=n) for n in range(3)]
        discarded = corner.resolved(parked[0], LetterState.DISCARDED)
        replayed = corner.resolved(parked[0], LetterState.REPLAYED, minutes=1)
        early = corner.resolved(parked[1], LetterState.SUPERSEDED)
        await model.record_parked(parked[:1])
        await model.record_resolved([replayed, discarded, early])
        await model.record_parked(parked)
        bare = replace(parked[0], key=None, value=b"", headers=())
        assert await model.get_letter(corner.tenant, parked[0].origin) == Letter(
            parked=bare, resolved=replace(replayed, letter=bare)
        )
        for state, offsets in (
            (None, {0, 1, 2}),
            (LetterState.PARKED, {2}),
            (LetterState.REPLAYED, {0}),
            (LetterState.SUPERSEDED, {1}),
            (LetterState.DISCARDED, set()),
        ):
            page = await letters(model, corner.tenant, expected=offsets, state=state)
            assert {letter.state for letter in page.letters} <= ({state} if state else set(LetterState))
        open_only = LetterFilter(tenant=corner.tenant, state=LetterState.PARKED)
        assert [group.count for group in await model.group_letters(open_only)] == [1]


class TestFakeDocuments(DocumentReadModelContract):
    @pytest.fixture
    def model(self) -> DocumentReadModel:
        return FakeDocuments()


@pytest.mark.real
class TestElasticsearchDocuments(DocumentReadModelContract):
    @pytest.fixture
    async def model(self, stores: Settings) -> AsyncIterator[DocumentReadModel]:
        async with ElasticsearchDocuments.open(stores.elasticsearch) as model:
            yield model

    async def test_a_letter_without_a_tenant_is_for_operators(self, model: DocumentReadModel) -> None:
        letter = replace(golden(EventParked, "undecodable"), origin=Position(topic="rag.x", partition=0, offset=1))
        await model.record_parked([letter])

        async def found() -> bool:
            page = await model.list_letters(LetterFilter(tenant=None), limit=100)
            return letter.origin in {each.parked.origin for each in page.letters}

        assert await until(found)
