"""Control data in memory: records, membership, generations."""

from headwater.heads.directory_table import DirectoryTable
from schemas.events.directory import (
    DirectoryKind,
    Generation,
    GenerationState,
    Group,
    KnowledgeBase,
    User,
)
from schemas.ids import EVERYONE, SYSTEM_TENANT, GenerationName, Principal, Revision, TenantId
from tests.support.heads import ACME, HANDBOOK, directory_record, world


def group(record_id: str, *members: str) -> tuple[DirectoryKind, str, Group]:
    return DirectoryKind.GROUP, record_id, Group(name=record_id, members=tuple(map(Principal, members)))


def table(*records: tuple[DirectoryKind, str, object]) -> DirectoryTable:
    made = world()
    made.apply(directory_record(DirectoryKind.USER, "ann", User(name="Ann")))
    for kind, record_id, record in records:
        made.apply(directory_record(kind, record_id, record))  # type: ignore[arg-type]  # the tests' own tuples
    return made


def principals(made: DirectoryTable, user: str = "ann") -> set[str]:
    return set(made.principals(ACME, user))


def test_groups_are_closed_over_nesting() -> None:
    made = table(group("a:staff", "user:ann"), group("a:all", "group:a:staff"), group("a:other", "user:bob"))
    assert principals(made) == {"user:ann", "everyone", "group:a:staff", "group:a:all"}


def test_cycles_of_groups_end() -> None:
    made = table(group("a:x", "user:ann", "group:a:y"), group("a:y", "group:a:x"))
    assert principals(made) == {"user:ann", "everyone", "group:a:x", "group:a:y"}


def test_nobody_is_nobody() -> None:
    made = table(group("a:staff", "user:ghost"))
    assert principals(made, "ghost") == set()
    assert made.principals(TenantId("other"), "ann") == frozenset()


def test_guests_are_not_everyone() -> None:
    made = table((DirectoryKind.USER, "gus", User(name="Gus", guest=True)))
    assert EVERYONE not in made.principals(ACME, "gus")


def test_a_change_of_membership_is_seen_at_once() -> None:
    made = table(group("a:staff", "user:ann"))
    assert "group:a:staff" in principals(made)
    made.apply(directory_record(*group("a:staff", "user:bob")))
    assert "group:a:staff" not in principals(made)
    made.apply(directory_record(*group("a:staff", "user:ann")))
    made.apply(directory_record(DirectoryKind.GROUP, "a:staff", None))
    assert "group:a:staff" not in principals(made)


def test_groups_of_another_tenant_do_not_count() -> None:
    made = table()
    made.apply(directory_record(*group("a:staff", "user:ann"), tenant=TenantId("other")))
    assert "group:a:staff" not in principals(made)


def test_a_deleted_record_is_gone_but_its_revision_is_remembered() -> None:
    made = table()
    gone = directory_record(DirectoryKind.KNOWLEDGE_BASE, HANDBOOK, None, revision=Revision(9))
    made.apply(gone)
    assert made.get(ACME, DirectoryKind.KNOWLEDGE_BASE, HANDBOOK) is None
    assert made.list(ACME, DirectoryKind.KNOWLEDGE_BASE) == []
    assert made.latest(ACME, DirectoryKind.KNOWLEDGE_BASE, HANDBOOK) == gone


def test_lists_are_ordered_and_of_one_kind_and_tenant() -> None:
    made = table((DirectoryKind.KNOWLEDGE_BASE, "b", KnowledgeBase(name="B")))
    made.apply(directory_record(DirectoryKind.KNOWLEDGE_BASE, "a", KnowledgeBase(name="A")))
    assert [entry.record_id for entry in made.list(ACME, DirectoryKind.KNOWLEDGE_BASE)] == ["a", "b", "handbook"]


def test_the_newest_switch_serves() -> None:
    made = DirectoryTable()
    assert made.serving_generation() is None
    for name, state, revision in (("g1", "serving", 5), ("g2", "serving", 8), ("g3", "building", 9)):
        generation = Generation(
            name=GenerationName(name), state=GenerationState(state), parser="p", policy="c", model="m", dimension=8
        )
        made.apply(
            directory_record(
                DirectoryKind.GENERATION, name, generation, tenant=SYSTEM_TENANT, revision=Revision(revision)
            )
        )
    assert made.serving_generation() == "g2"
