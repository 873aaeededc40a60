"""What the directory's records say of generations."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from headwater.generations.records import (
    GenerationRefusedError,
    Generations,
    first_generation,
    new_generation,
    record_of,
)
from headwater.heads.directory_table import DirectoryTable
from schemas.events.base import Store
from schemas.events.directory import DirectoryKind, Generation, GenerationState
from schemas.ids import SYSTEM_TENANT, GenerationName, Revision
from tests.support.heads import directory_record

G1, G2 = GenerationName("g1"), GenerationName("g2")
CREATED = datetime(2026, 3, 1, tzinfo=UTC)
SECOND = new_generation(G2, policy="structure-1,max_bytes=2000", created_at=CREATED)


def directory(*records: Generation) -> DirectoryTable:
    table = DirectoryTable()
    for number, record in enumerate(records, start=1):
        table.apply(
            directory_record(
                DirectoryKind.GENERATION, record.name, record, tenant=SYSTEM_TENANT, revision=Revision(100 - number)
            )
        )
    return table


def test_an_installation_without_records_has_the_generation_of_its_settings() -> None:
    found = Generations.of(DirectoryTable(), default=G1)
    assert found.serving == G1
    assert [(each.record, each.revision) for each in found.all] == [(first_generation(G1), 0)]


def test_a_switch_is_one_record_whatever_the_revisions_are() -> None:
    first = first_generation(G1)
    before = Generations.of(directory(first, SECOND), default=G1)
    assert before.serving == G1
    switched = before.switched_to(G2)
    after = Generations.of(directory(first, switched), default=G1)
    assert after.serving == G2
    assert after.previous.record == first
    back = Generations.of(directory(after.switched_to(G1), switched), default=G1)
    assert back.serving == G1
    assert back.previous.record == switched


def test_a_mark_of_a_rebuild_switches_nothing() -> None:
    switched = Generations.of(directory(first_generation(G1), SECOND), default=G1).switched_to(G2)
    marked = replace(first_generation(G1), rebuilding=(Store.KEYWORDS,))
    table = directory(switched, marked)
    assert table.serving_generation() == G2
    assert record_of(table, G1).rebuilding == (Store.KEYWORDS,)
    assert record_of(table, G2).rebuilding == ()


def test_nothing_to_go_back_to_is_said() -> None:
    found = Generations.of(directory(first_generation(G1), SECOND), default=G1)
    with pytest.raises(GenerationRefusedError, match="nothing served before g1"):
        _ = found.previous
    with pytest.raises(GenerationRefusedError, match="'g3': choose from g1, g2"):
        found.get(GenerationName("g3"))


def test_a_new_generation_is_built_first() -> None:
    assert (SECOND.state, SECOND.switched, SECOND.created_at) == (GenerationState.BUILDING, 0, CREATED)


def test_a_replica_takes_a_generation_without_a_record_for_the_built_in_one() -> None:
    assert record_of(DirectoryTable(), G1) == first_generation(G1)
    assert record_of(directory(SECOND), G2) == SECOND
