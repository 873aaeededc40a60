"""Random filters, scopes and rows whose texts try to become syntax."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from headwater.ports.rows import AllOf, AnyOf, Between, ChunkRow, Equals, Filter, Not, OneOf, Scope
from schemas.events.documents import AttributeScalar, AttributeValue
from schemas.ids import DocumentId, KnowledgeBaseId, Principal, Revision, SourceId, TenantId, row_id
from tests.support.rows import chunk_row

# Each of these would change a query's meaning if it were pasted into one.
ATTACKS = (
    '" or row_id != "',
    '\\" or row_id != \\"',
    '"] or row_id not in ["',
    "' OR '1'='1",
    'x") or array_contains_any(readers, ["user:root',
    "*:*",
    "line\nend\r",
    "\x00\x1f\\",
    "%22 or %25",
    "é漢🛳",
    "",
    "plain",
)
TENANTS = (TenantId("acme"), TenantId('acme" or tenant_id != "'))
BASES = (KnowledgeBaseId("docs"), KnowledgeBaseId("docs\\"), KnowledgeBaseId("*"))
PRINCIPALS = tuple(Principal(f"user:{attack}") for attack in ATTACKS)
NAMES = ("a", "b", "c.d", "e-f")
TIMES = tuple(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=each) for each in (-1, 0, 1, 10**12))
NUMBERS = (-1e300, -2.5, -1, 0, 0.1, 1, 3, 2**53, 1e300)
SCALARS: Sequence[AttributeScalar] = (*ATTACKS, *NUMBERS, *TIMES, True, False)
FIELDS = ("source", "external_id", "language", "media_type")


def hostile_rows(count: int) -> list[ChunkRow]:
    """Build rows from the attacks, the same ones every time."""
    dice = random.Random(11)
    return [_hostile_row(number, dice) for number in range(count)]


def _hostile_row(number: int, dice: random.Random) -> ChunkRow:
    document, revision = DocumentId(f"{number:032x}"), Revision(7)
    return replace(
        chunk_row(
            tenant=dice.choice(TENANTS),
            document=document,
            readers=tuple(dice.sample(PRINCIPALS, dice.randint(0, 4))),
            readers_second=tuple(dice.sample(PRINCIPALS, dice.randint(0, 6))),
            knowledge_base=dice.choice(BASES),
            attributes=_attributes(dice),
        ),
        row_id=row_id(document, revision, 0),
        source=SourceId(dice.choice(ATTACKS)),
        external_id=dice.choice(ATTACKS),
        language=dice.choice((None, "en", *ATTACKS)),
        media_type=dice.choice((None, "", "text/plain")),
    )


def _attributes(dice: random.Random) -> Mapping[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {}
    for name in dice.sample(NAMES, dice.randint(0, len(NAMES))):
        several = tuple(dice.sample(SCALARS, dice.randint(0, 3)))
        attributes[name] = dice.choice((dice.choice(SCALARS), several))
    return attributes


_attribute_fields = st.sampled_from(NAMES).map(lambda name: f"attributes.{name}")
_equals: st.SearchStrategy[Filter] = st.one_of(
    st.builds(Equals, st.sampled_from(FIELDS), st.sampled_from(ATTACKS)),
    st.builds(Equals, st.sampled_from(FIELDS), st.text(max_size=8)),
    st.builds(Equals, _attribute_fields, st.sampled_from(SCALARS)),
)
_one_of: st.SearchStrategy[Filter] = st.one_of(
    st.builds(OneOf, st.sampled_from(FIELDS), st.lists(st.sampled_from(ATTACKS), max_size=4).map(tuple)),
    st.builds(OneOf, _attribute_fields, st.lists(st.sampled_from(SCALARS), max_size=4).map(tuple)),
)


def _between(ends: Sequence[AttributeScalar]) -> st.SearchStrategy[Filter]:
    end = st.sampled_from(ends)
    return st.one_of(
        st.builds(Between, _attribute_fields, end, end),
        st.builds(Between, _attribute_fields, end, st.none()),
        st.builds(Between, _attribute_fields, st.none(), end),
    )


filters: st.SearchStrategy[Filter] = st.recursive(
    st.one_of(_equals, _one_of, _between(NUMBERS), _between(TIMES)),
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(AllOf, st.lists(inner, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(inner, max_size=3).map(tuple)),
    ),
    max_leaves=8,
)

scopes: st.SearchStrategy[Scope] = st.builds(
    Scope,
    tenant_id=st.sampled_from(TENANTS),
    principals=st.frozensets(st.sampled_from(PRINCIPALS), max_size=8),
    knowledge_bases=st.none() | st.lists(st.sampled_from(BASES), max_size=3).map(tuple),
    where=filters,
)
