"""The last audit as administrators see it."""

from datetime import datetime

from pydantic import BaseModel, Field

from headwater.ports.consistency import ConsistencyReport, Difference, Finding, Projection, Repairs, Tally
from query_api.documents.views import PositionView
from schemas.ids import DocumentId, GenerationName, Revision


class TallyView(BaseModel, frozen=True):
    """Sums over one store. The fingerprint does not depend on any order; equal to `expected`: the store agrees."""

    documents: int
    rows: int
    fingerprint: str
    expected: str = Field(description="The fingerprint of what the log says should be there.")

    @classmethod
    def of(cls, tally: Tally) -> "TallyView":
        """Show sums."""
        return cls(documents=tally.documents, rows=tally.rows, fingerprint=tally.fingerprint, expected=tally.expected)


class FindingView(BaseModel, frozen=True):
    """One document about which one store differs from the log."""

    document_id: DocumentId
    store: Projection
    difference: Difference
    revision: Revision | None = Field(description="The log's newest; none: the log does not know the document.")

    @classmethod
    def of(cls, finding: Finding) -> "FindingView":
        """Show a finding."""
        return cls(
            document_id=finding.document_id,
            store=finding.projection,
            difference=finding.difference,
            revision=finding.revision,
        )


class RepairsView(BaseModel, frozen=True):
    """What was done about findings, in documents."""

    rerun: int
    removed: int
    refused: int = Field(description="Beyond a limit: nothing was done.")

    @classmethod
    def of(cls, repairs: Repairs) -> "RepairsView":
        """Show repairs."""
        return cls(rerun=repairs.rerun, removed=repairs.removed, refused=repairs.refused)


class Consistency(BaseModel, frozen=True):
    """What the last pass found about the tenant's documents."""

    generation: GenerationName
    clean: bool
    started_at: datetime
    finished_at: datetime
    clean_at: datetime | None = Field(description="When a pass last found nothing.")
    positions: list[PositionView] = Field(description="Of the log: everything below was compared.")
    documents: int
    under_way: int = Field(description="Newer than what is complete, and young: not judged.")
    parked: int = Field(description="Failed in a stage: see /v1/parked.")
    stores: dict[Projection, TallyView]
    differences: dict[Projection, dict[Difference, int]] = Field(description="Documents by store and difference.")
    findings: list[FindingView] = Field(description="The first of them.")
    repairs: RepairsView

    @classmethod
    def of(cls, report: ConsistencyReport) -> "Consistency":
        """Show a report."""
        return cls(
            generation=report.generation,
            clean=report.clean,
            started_at=report.started_at,
            finished_at=report.finished_at,
            clean_at=report.clean_at,
            positions=[
                PositionView(topic=each.topic, partition=each.partition, offset=each.offset)
                for each in report.positions
            ],
            documents=report.documents,
            under_way=report.under_way,
            parked=report.parked,
            stores={Projection(name): TallyView.of(tally) for name, tally in report.projections.items()},
            differences={
                Projection(name): {Difference(difference): count for difference, count in counts.items()}
                for name, counts in report.counts.items()
            },
            findings=[FindingView.of(finding) for finding in report.findings],
            repairs=RepairsView.of(report.repairs),
        )
