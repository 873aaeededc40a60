"""Whose eyes rows are for, asked without reading arrays: Milvus Lite takes time by the square of the arrays it returns.

Measured on it: 1,400 rows with an array take 1,000 ms, without 15 ms; counting what an expression over the arrays
admits takes 2 ms. So the first row of each revision says, in its record, which readers it was written with; where many
rows say the same, one count proves it of all of them; only the arrays of the others are read, a few rows at a time.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

from headwater.access.policies import MIXED, Policy, policy_of
from headwater.clients.milvus.expressions import literal, one_of
from headwater.clients.milvus.loaded import MAX_HITS, LoadedCollection
from schemas.ids import DocumentId, Revision, TenantId

Place: TypeAlias = tuple[TenantId, DocumentId, Revision]
Readers: TypeAlias = tuple[tuple[str, ...], tuple[str, ...]]

FIELDS: Final = ("tenant_id", "document_id", "revision")
_ARRAYS: Final = ("readers", "readers_second")
# A count looks at every row of the collection, so it has to settle many of them at once.
_WORTH_A_COUNT: Final = 200
_ROWS_WITH_ARRAYS: Final = 100
_TOO_MANY: Final = 1_000  # of one revision, to read the arrays of: more than a second


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyReader:
    """Finds the policies of rows that were counted before."""

    collection: LoadedCollection

    async def policies(self, within: str, rows: Mapping[Place, int]) -> Mapping[Place, Policy]:
        """Return the policy of each place, MIXED where its rows disagree; `rows` are all that `within` admits."""
        if not rows:
            return {}
        claims = await self._claims(within)
        found: dict[Place, Policy] = {}
        for readers, places in _shared(claims, rows).items():
            if await self._holds(within, readers, places, rows):
                found |= dict.fromkeys(places, policy_of(*readers))
        rest = [place for place in rows if place not in found]
        # So many rows that are not as their own first one says: they disagree, whatever each of them says.
        found |= {place: MIXED for place in rest if rows[place] > _TOO_MANY}
        for part in _parts([place for place in rest if place not in found], rows):
            found |= await self._read(within, part)
        return found

    async def _claims(self, within: str) -> Mapping[Place, Readers]:
        first = f"{within} and ordinal == 0"
        found = await self.collection.query(first, fields=(*FIELDS, "record"), limit=MAX_HITS)
        return {place_of(row): _claimed(row["record"]) for row in found}

    async def _holds(self, within: str, readers: Readers, places: Sequence[Place], rows: Mapping[Place, int]) -> bool:
        """Ask whether as many rows have exactly these readers as these places have rows."""
        whose = one_of("document_id", sorted({document for _, document, _ in places}))
        revisions = ", ".join(f"{revision:d}" for revision in sorted({revision for _, _, revision in places}))
        exactly = " and ".join(_exactly(field, each) for field, each in zip(_ARRAYS, readers, strict=True))
        expression = f"{within} and {whose} and revision in [{revisions}] and {exactly}"
        return await self.collection.count(expression) == sum(rows[place] for place in places)

    async def _read(self, within: str, places: Sequence[Place]) -> Mapping[Place, Policy]:
        """Read the arrays themselves."""
        whose = one_of("document_id", sorted({document for _, document, _ in places}))
        revisions = ", ".join(f"{revision:d}" for revision in sorted({revision for _, _, revision in places}))
        found: dict[Place, Policy] = {}
        for row in await self.collection.query(
            f"{within} and {whose} and revision in [{revisions}]", fields=(*FIELDS, *_ARRAYS), limit=MAX_HITS
        ):
            place = place_of(row)
            policy = policy_of(*(map(unquote, row[field]) for field in _ARRAYS))
            if found.setdefault(place, policy) != policy:
                found[place] = MIXED
        return {place: found.get(place, MIXED) for place in places}  # gone meanwhile: whatever it was, it differs


def place_of(row: Mapping[str, Any]) -> Place:
    """Return whose row it is."""
    return TenantId(unquote(row["tenant_id"])), DocumentId(unquote(row["document_id"])), Revision(row["revision"])


def _claimed(record: str) -> Readers:
    plain = json.loads(record)
    return tuple(plain["readers"]), tuple(plain["readers_second"])


def _shared(claims: Mapping[Place, Readers], rows: Mapping[Place, int]) -> Mapping[Readers, Sequence[Place]]:
    """Return the claims that many rows share, each with its places; of a document with one revision only."""
    revisions: dict[DocumentId, int] = {}
    for _, document, _ in rows:
        revisions[document] = revisions.get(document, 0) + 1
    shared: dict[Readers, list[Place]] = {}
    for place, readers in claims.items():
        if place in rows and revisions[place[1]] == 1:
            shared.setdefault(readers, []).append(place)
    return {
        readers: places for readers, places in shared.items() if sum(rows[each] for each in places) >= _WORTH_A_COUNT
    }


def _parts(places: Iterable[Place], rows: Mapping[Place, int]) -> Iterator[Sequence[Place]]:
    part: list[Place] = []
    size = 0
    for place in places:
        if part and size + rows[place] > _ROWS_WITH_ARRAYS:
            yield part
            part, size = [], 0
        part.append(place)
        size += rows[place]
    if part:
        yield part


def _exactly(field: str, readers: Sequence[str]) -> str:
    length = f"array_length({field}) == {len(readers)}"
    if not readers:
        return length
    return f"{length} and array_contains_all({field}, [{', '.join(map(literal, readers))}])"
