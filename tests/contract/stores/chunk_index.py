"""What both stores promise, whichever of them holds the rows."""

from collections.abc import Sequence
from typing import Protocol

import pytest

from headwater.access.clauses import ANYONE
from headwater.ports.rows import (
    AllOf,
    AnyOf,
    Between,
    ChunkIndex,
    ChunkRow,
    Equals,
    Filter,
    Not,
    OneOf,
    Scope,
    StoreHit,
)
from headwater.rows import FilterError
from schemas.events.chunks import MAX_CHUNK_BYTES
from schemas.ids import EVERYONE, DocumentId, KnowledgeBaseId, Principal, Revision
from tests.contract.stores.values import HOSTILE, PUBLISHED, RICH
from tests.support.rows import ACME, ANN, DOCS, HANDBOOK, OTHER, RIVAL, chunk_row, rows_of, scope_of, with_external_id

NOWHERE = DocumentId("nowhere")


class Probe(Protocol):
    """One way to write to and to search either store."""

    index: ChunkIndex

    async def write(self, rows: Sequence[ChunkRow]) -> None: ...

    async def find(self, scope: Scope, *, limit: int = 100) -> Sequence[StoreHit]: ...


async def emptied(index: ChunkIndex) -> None:
    """Remove what an earlier test of the same installation wrote."""
    for tenant in (ACME, RIVAL):
        for document in (HANDBOOK, OTHER):
            await index.remove_older(tenant, document, than=Revision(1_000))


class ChunkIndexContract:
    """Subclasses provide the `probe` fixture."""

    async def test_what_was_written_is_visible_on_return(self, probe: Probe) -> None:
        await probe.write(rows_of(HANDBOOK, revision=7, chunks=3))
        assert await probe.index.count(ACME, HANDBOOK, Revision(7)) == 3
        assert len(await probe.find(scope_of())) == 3

    async def test_a_row_comes_back_as_it_was_written(self, probe: Probe) -> None:
        row = chunk_row(attributes=RICH, text="Ferries “leave” at 日の出 \x00\n\t 🛳", title='"quoted\\" \r\n title')
        await probe.write([row])
        assert [hit.row for hit in await probe.find(scope_of())] == [row]
        assert list(await probe.index.fetch(scope_of(), [row.row_id])) == [row]

    async def test_writing_nothing_is_harmless(self, probe: Probe) -> None:
        await probe.write([])
        assert list(await probe.find(scope_of())) == []

    async def test_a_write_repeated_changes_nothing(self, probe: Probe) -> None:
        rows = rows_of(HANDBOOK, revision=7, chunks=3)
        await probe.write(rows)
        await probe.write(rows)
        assert await probe.index.revisions(ACME, HANDBOOK) == {7: 3}
        assert len(await probe.find(scope_of())) == 3

    async def test_a_shrunk_document_leaves_no_rows_behind(self, probe: Probe) -> None:
        await probe.write(rows_of(HANDBOOK, revision=7, chunks=5))
        await probe.write(rows_of(HANDBOOK, revision=9, chunks=2))
        assert await probe.index.revisions(ACME, HANDBOOK) == {7: 5, 9: 2}
        assert await probe.index.remove_older(ACME, HANDBOOK, than=Revision(9)) == 5
        assert await probe.index.revisions(ACME, HANDBOOK) == {9: 2}
        assert {hit.row.revision for hit in await probe.find(scope_of())} == {9}

    async def test_removing_keeps_that_revision_and_newer_ones(self, probe: Probe) -> None:
        for revision in (7, 8, 9):
            await probe.write(rows_of(HANDBOOK, revision=revision, chunks=1))
        await probe.write(rows_of(OTHER, revision=5, chunks=1))
        assert await probe.index.remove_older(ACME, HANDBOOK, than=Revision(8)) == 1
        assert await probe.index.remove_older(ACME, HANDBOOK, than=Revision(8)) == 0
        assert await probe.index.revisions(ACME, HANDBOOK) == {8: 1, 9: 1}
        assert await probe.index.revisions(ACME, OTHER) == {5: 1}

    async def test_an_older_revision_that_arrives_late_overwrites_nothing(self, probe: Probe) -> None:
        await probe.write(rows_of(HANDBOOK, revision=9, chunks=2))
        await probe.write(rows_of(HANDBOOK, revision=8, chunks=4))
        assert await probe.index.revisions(ACME, HANDBOOK) == {8: 4, 9: 2}
        assert await probe.index.remove_older(ACME, HANDBOOK, than=Revision(9)) == 4
        assert await probe.index.count(ACME, HANDBOOK, Revision(9)) == 2

    async def test_a_deletion_removes_every_row(self, probe: Probe) -> None:
        await probe.write(rows_of(HANDBOOK, revision=7, chunks=70))
        assert await probe.index.remove_older(ACME, HANDBOOK, than=Revision(8)) == 70
        assert await probe.index.revisions(ACME, HANDBOOK) == {}
        assert list(await probe.find(scope_of())) == []

    async def test_many_documents_are_counted_as_each_of_them_is(self, probe: Probe) -> None:
        await probe.write(rows_of(HANDBOOK, revision=8, chunks=4))
        await probe.write(rows_of(HANDBOOK, revision=9, chunks=2))
        await probe.write(rows_of(OTHER, revision=5, chunks=1))
        asked = [(ACME, HANDBOOK), (ACME, OTHER), (ACME, NOWHERE)]
        assert await probe.index.revisions_of(asked) == {HANDBOOK: {8: 4, 9: 2}, OTHER: {5: 1}, NOWHERE: {}}
        assert await probe.index.revisions_of([(RIVAL, HANDBOOK), (ACME, OTHER)]) == {HANDBOOK: {}, OTHER: {5: 1}}

    async def test_what_is_not_there_counts_zero(self, probe: Probe) -> None:
        assert await probe.index.count(ACME, HANDBOOK, Revision(7)) == 0
        assert await probe.index.revisions(ACME, HANDBOOK) == {}
        assert await probe.index.remove_older(ACME, HANDBOOK, than=Revision(7)) == 0
        assert list(await probe.index.fetch(scope_of(), [f"{HANDBOOK}#7#0"])) == []

    async def test_tenants_do_not_see_or_touch_each_other(self, probe: Probe) -> None:
        await probe.write(rows_of(HANDBOOK, revision=7, chunks=1, tenant=ACME))
        await probe.write(rows_of(OTHER, revision=7, chunks=1, tenant=RIVAL))
        assert {hit.row.tenant_id for hit in await probe.find(scope_of(tenant=RIVAL))} == {RIVAL}
        assert await probe.index.count(RIVAL, HANDBOOK, Revision(7)) == 0
        assert await probe.index.remove_older(RIVAL, HANDBOOK, than=Revision(9)) == 0
        assert list(await probe.index.fetch(scope_of(tenant=RIVAL), [f"{HANDBOOK}#7#0"])) == []
        assert await probe.index.count(ACME, HANDBOOK, Revision(7)) == 1

    async def test_knowledge_bases_confine(self, probe: Probe) -> None:
        await probe.write([chunk_row(ordinal=0), chunk_row(ordinal=1, knowledge_base=KnowledgeBaseId("sales"))])
        assert [hit.row.ordinal for hit in await probe.find(scope_of(knowledge_bases=(DOCS,)))] == [0]
        assert list(await probe.find(scope_of(knowledge_bases=()))) == []
        assert len(await probe.find(scope_of(knowledge_bases=(DOCS, KnowledgeBaseId("sales"))))) == 2

    @pytest.mark.parametrize(
        ("readers", "second", "seen"),
        [
            ((EVERYONE,), (EVERYONE,), True),
            ((EVERYONE,), (Principal("group:hr:staff"),), False),
            ((Principal("group:hr:staff"),), (EVERYONE,), False),
            ((Principal("group:hr:staff"), ANN), (EVERYONE,), True),
            ((Principal("user:an"),), (EVERYONE,), False),
            ((ANYONE,), (EVERYONE,), False),
            ((), (), False),
        ],
    )
    async def test_a_caller_must_be_among_both_sets_of_readers(
        self, probe: Probe, readers: tuple[Principal, ...], second: tuple[Principal, ...], seen: bool
    ) -> None:
        row = chunk_row(readers=readers, readers_second=second)
        await probe.write([row])
        assert bool(await probe.find(scope_of())) == seen
        assert bool(await probe.index.fetch(scope_of(), [row.row_id])) == seen

    async def test_a_caller_without_principals_sees_nothing(self, probe: Probe) -> None:
        row = chunk_row()
        await probe.write([row])
        nobody = Scope(tenant_id=ACME, principals=frozenset(), knowledge_bases=None)
        assert list(await probe.find(nobody)) == []
        assert list(await probe.index.fetch(nobody, [row.row_id])) == []

    async def test_a_caller_of_five_hundred_groups_is_served(self, probe: Probe) -> None:
        await probe.write([chunk_row(readers=(Principal("group:hr:499"),))])
        groups = [Principal(f"group:hr:{n}") for n in range(500)]
        assert len(await probe.find(scope_of(*groups))) == 1

    async def test_rows_come_in_the_order_asked_for(self, probe: Probe) -> None:
        rows = rows_of(HANDBOOK, revision=7, chunks=4)
        await probe.write(rows)
        wanted = [rows[2].row_id, "unknown#1#1", rows[0].row_id, rows[3].row_id, '"] or row_id != "']
        assert [row.ordinal for row in await probe.index.fetch(scope_of(), wanted)] == [2, 0, 3]
        assert list(await probe.index.fetch(scope_of(), [])) == []

    async def test_a_limit_is_kept(self, probe: Probe) -> None:
        await probe.write(rows_of(HANDBOOK, revision=7, chunks=10))
        hits = await probe.find(scope_of(), limit=3)
        assert len(hits) == 3
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        assert list(await probe.find(scope_of(), limit=0)) == []

    async def test_the_largest_chunk_fits(self, probe: Probe) -> None:
        text = "ferries " + "海" * 2_700
        text += "\n" * (MAX_CHUNK_BYTES - len(text.encode()))
        row = chunk_row(text=text)
        assert len(row.text.encode()) == MAX_CHUNK_BYTES
        await probe.write([row])
        assert [hit.row for hit in await probe.find(scope_of())] == [row]

    async def test_the_largest_set_of_readers_fits(self, probe: Probe) -> None:
        readers = tuple(Principal(f"group:verzeichnis:{'ä' * 100}{n}") for n in range(256))
        await probe.write([chunk_row(readers=readers)])
        assert len(await probe.find(scope_of(readers[255]))) == 1

    @pytest.mark.parametrize("hostile", HOSTILE)
    async def test_hostile_text_is_data_everywhere(self, probe: Probe, hostile: str) -> None:
        reader = Principal(f"user:{hostile}")
        victim = chunk_row(ordinal=0, readers=(Principal("user:victim"),))
        row = with_external_id(chunk_row(ordinal=1, readers=(reader,), attributes={"owner": hostile}), hostile)
        await probe.write([victim, row])
        filters: Sequence[Filter] = (
            Equals("attributes.owner", hostile),
            Equals("external_id", hostile),
            OneOf("external_id", ("x", hostile)),
            Not(Equals("source", hostile)),
        )
        for where in filters:
            assert [hit.row for hit in await probe.find(scope_of(reader, where=where))] == [row]
        assert list(await probe.find(scope_of(reader, where=Not(Equals("external_id", hostile))))) == []
        assert list(await probe.find(scope_of(Principal(hostile)))) == []
        assert list(await probe.find(scope_of(reader, knowledge_bases=(KnowledgeBaseId(hostile),)))) == []

    @pytest.mark.parametrize(
        ("where", "found"),
        [
            (Equals("source", "files"), {0, 1, 2}),
            (Equals("attributes.status", "final"), {0}),
            (OneOf("attributes.status", ("final", "draft")), {0, 1}),
            (Equals("attributes.tags", "north"), {0, 1}),
            (Equals("attributes.pages", 12), {0}),
            (Equals("attributes.pages", 12.0), {0}),
            (Equals("attributes.pages", "12"), set()),
            (Equals("attributes.public", True), {0}),
            (Equals("attributes.public", 1), set()),
            (Between("attributes.pages", 12, 100), {0, 1}),
            (Between("attributes.pages", 12.5, None), {1}),
            (Between("attributes.pages", None, 12), {0}),
            (Between("attributes.sizes", 3, 4), set()),
            (Between("attributes.sizes", -1.5, 2), {0}),
            (Between("attributes.published", PUBLISHED, PUBLISHED), {0}),
            (Between("attributes.published", PUBLISHED, None), {0, 1}),
            (Not(Equals("attributes.status", "final")), {1, 2}),
            (Not(Between("attributes.pages", 12, None)), {2}),
            (Not(Equals("language", "de")), {0, 1, 2}),
            (Not(AllOf((Equals("attributes.status", "final"), Equals("source", "files")))), {1, 2}),
            (Not(AnyOf((Equals("attributes.status", "final"), Equals("attributes.status", "draft")))), {2}),
            (Not(Not(Equals("attributes.status", "draft"))), {1}),
            (AnyOf((Equals("attributes.status", "final"), Equals("attributes.status", "draft"))), {0, 1}),
            (AnyOf(()), set()),
            (AllOf(()), {0, 1, 2}),
            (OneOf("source", ()), set()),
            (Equals("attributes.absent", "x"), set()),
        ],
    )
    async def test_filters_mean_the_same_in_every_store(self, probe: Probe, where: Filter, found: set[int]) -> None:
        later = PUBLISHED.replace(year=PUBLISHED.year + 1)
        await probe.write(
            [
                chunk_row(ordinal=0, attributes=RICH),
                chunk_row(
                    ordinal=1, attributes={"status": "draft", "tags": ("north",), "pages": 90, "published": later}
                ),
                chunk_row(ordinal=2),
            ]
        )
        assert {hit.row.ordinal for hit in await probe.find(scope_of(where=where))} == found

    @pytest.mark.parametrize(
        "where",
        [
            Equals("text", "x"),
            Equals("attributes", "x"),
            Equals('attributes.a"] == 1 or tenant_id != ["', "x"),
            Equals("attributes." + "a" * 65, "x"),
            Equals("source", 5),
            Equals("attributes.a", float("nan")),
            Equals("attributes.a", "\ud800"),
            Between("attributes.a", None, None),
            Between("attributes.a", 1, "2"),
            Between("source", "a", "b"),
            OneOf("attributes.a", tuple(range(300))),
        ],
    )
    async def test_a_filter_that_means_nothing_is_refused_clearly(self, probe: Probe, where: Filter) -> None:
        with pytest.raises(FilterError):
            await probe.find(scope_of(where=where))
