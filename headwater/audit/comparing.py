"""One range of documents, compared: fingerprints first, documents only where fingerprints differ. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from headwater.audit.bisection import differing
from headwater.audit.fingerprints import MODULUS, NOTHING, Fingerprint, fingerprint
from headwater.audit.judging import (
    Expectation,
    Expecting,
    Horizon,
    LoggedDocument,
    differences,
    expectation,
    facts_of,
)
from headwater.ports.consistency import Difference, Finding, Holding, Projection
from schemas.ids import DocumentId, TenantId

_NOTHING_EXPECTED = Expectation(how=Expecting.SETTLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Of what is held and judged of one tenant in one projection, and the fingerprint that was expected."""

    documents: int = 0
    rows: int = 0
    held: Fingerprint = NOTHING
    expected: Fingerprint = NOTHING

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(
            documents=self.documents + other.documents,
            rows=self.rows + other.rows,
            held=(self.held + other.held) % MODULUS,
            expected=(self.expected + other.expected) % MODULUS,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Documents of one tenant, as the log has them."""

    documents: int = 0
    under_way: int = 0
    parked: int = 0

    def __add__(self, other: "Population") -> "Population":
        return Population(
            documents=self.documents + other.documents,
            under_way=self.under_way + other.under_way,
            parked=self.parked + other.parked,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look at one range found."""

    population: Mapping[TenantId, Population]
    sums: Mapping[tuple[TenantId, Projection], Sums]
    findings: tuple[Finding, ...]
    subjects: Mapping[DocumentId, LoggedDocument] = field(default_factory=dict)  # of findings, as the log has them


def compare(
    documents: Sequence[LoggedDocument], held: Mapping[Projection, Sequence[Holding]], horizon: Horizon
) -> Look:
    """Compare what the log has in a range with what each projection holds in it."""
    expected = {
        projection: {each.document_id: expectation(each, projection, horizon) for each in documents}
        for projection in held
    }
    known = {each.document_id: each for each in documents}
    sums: dict[tuple[TenantId, Projection], Sums] = {}
    findings: list[Finding] = []
    for projection, holdings in held.items():
        judged = [each for each in holdings if not _exempt(each, known, expected[projection])]
        _add_sums(sums, projection, known.values(), expected[projection], judged)
        findings += _findings(projection, known, expected[projection], judged)
    return Look(
        population=_populations(documents, expected),
        sums=sums,
        findings=tuple(findings),
        subjects={each.document_id: known[each.document_id] for each in findings if each.document_id in known},
    )


def confirmed(first: Look, second: Look) -> Look:
    """Return the second look with those of its findings, and of their stray revisions, that the first one had, too.

    Between the two the log was read on. What only looked different because something was happening is gone, and a
    revision that was seen before the log was read, and is not in it, never was: one that came later may well be.
    """
    before = {_identity(each): frozenset(each.stray) for each in first.findings}
    again = (
        replace(each, stray=tuple(revision for revision in each.stray if revision in before[_identity(each)]))
        for each in second.findings
        if _identity(each) in before
    )
    findings = tuple(each for each in again if each.stray or each.difference is not Difference.EXTRA)
    return Look(population=second.population, sums=second.sums, findings=findings, subjects=second.subjects)


def _identity(finding: Finding) -> tuple[object, ...]:
    return finding.tenant_id, finding.document_id, finding.projection, finding.difference


def _exempt(
    holding: Holding, known: Mapping[DocumentId, LoggedDocument], expected: Mapping[DocumentId, Expectation]
) -> bool:
    document = known.get(holding.document_id)
    if document is None or document.tenant_id != holding.tenant_id:
        return False
    return not _judged(expected[holding.document_id])


def _judged(expected: Expectation) -> bool:
    return expected.how not in {Expecting.UNDER_WAY, Expecting.PARKED}


def _findings(
    projection: Projection,
    known: Mapping[DocumentId, LoggedDocument],
    expected: Mapping[DocumentId, Expectation],
    held: Sequence[Holding],
) -> Iterable[Finding]:
    wanted = [each.fact for each in expected.values() if each.fact is not None and _judged(each)]
    suspects = dict.fromkeys(differing(wanted, facts_of(held)))
    by_document: dict[DocumentId, dict[TenantId, list[Holding]]] = {}
    for each in held:
        if each.document_id in suspects:
            by_document.setdefault(each.document_id, {}).setdefault(each.tenant_id, []).append(each)
    for document_id in suspects:
        by_tenant = by_document.get(document_id, {})
        document = known.get(document_id)
        if document is not None:
            yield from differences(projection, document, expected[document_id], by_tenant.pop(document.tenant_id, []))
        for strangers in by_tenant.values():  # under a tenant that the log does not know the document of
            yield from differences(projection, None, _NOTHING_EXPECTED, strangers)


def _add_sums(
    sums: dict[tuple[TenantId, Projection], Sums],
    projection: Projection,
    documents: Iterable[LoggedDocument],
    expected: Mapping[DocumentId, Expectation],
    held: Sequence[Holding],
) -> None:
    for document in documents:
        wanted = expected[document.document_id]
        if wanted.fact is not None and _judged(wanted):
            key = document.tenant_id, projection
            sums[key] = sums.get(key, Sums()) + Sums(expected=fingerprint([wanted.fact]))
    seen: set[tuple[TenantId, DocumentId]] = set()
    for each, fact in zip(held, facts_of(held), strict=True):
        key, place = (each.tenant_id, projection), (each.tenant_id, each.document_id)
        one = Sums(documents=int(place not in seen), rows=each.rows, held=fingerprint([fact]))
        sums[key] = sums.get(key, Sums()) + one
        seen.add(place)


def _populations(
    documents: Sequence[LoggedDocument], expected: Mapping[Projection, Mapping[DocumentId, Expectation]]
) -> Mapping[TenantId, Population]:
    found: dict[TenantId, Population] = {}
    for document in documents:
        states = {by_document[document.document_id].how for by_document in expected.values()}
        one = Population(
            documents=1,
            under_way=int(Expecting.UNDER_WAY in states),
            parked=int(Expecting.PARKED in states),
        )
        found[document.tenant_id] = found.get(document.tenant_id, Population()) + one
    return found
