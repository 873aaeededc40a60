"""Documents as callers write them and read them."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Final, Literal, TypeAlias, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from headwater.access.clauses import check_access
from headwater.ports.read_model import DocumentStatus
from query_api.documents.links import Url
from query_api.documents.reading import Wanted
from query_api.problems import Problem
from schemas.events import Access, Clause, Lane
from schemas.events.documents import AttributeScalar, AttributeValue, BlobRef, DocumentPatch, DocumentState, Link
from schemas.ids import DocumentId, KnowledgeBaseId, Principal

Name: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=128, strip_whitespace=True)]
Title: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
PrincipalName: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=320)]
ExternalId: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=1_024)]
MAX_ATTRIBUTES: Final = 128  # admission's limit: past it nothing would be admitted
AttributeName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,127}$")]


class Written(BaseModel):
    """Base of what callers send: an unknown field is an error, not a surprise."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _in_utc(moment: datetime) -> datetime:
    """Return the moment in UTC: what no event can carry is refused here, not parked later."""
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("outside of the years 1 to 9999 in UTC") from error


Moment: TypeAlias = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class Time(Written):
    """A moment as an attribute; a bare string stays text."""

    time: Moment


ItemT = TypeVar("ItemT")


def _storable(item: ItemT) -> ItemT:
    """Return what events and stores can carry."""
    if isinstance(item, int) and not -(2**63) <= item < 2**63:
        raise ValueError("a whole number has at most 64 bits; write a longer one as text")
    if isinstance(item, float) and not math.isfinite(item):
        raise ValueError("not a finite number")
    return item


AttributeItem: TypeAlias = Annotated[bool | int | float | str | Time, AfterValidator(_storable)]
Attributes: TypeAlias = Annotated[
    dict[AttributeName, AttributeItem | list[AttributeItem]], Field(max_length=MAX_ATTRIBUTES)
]


class ClauseBody(Written):
    """One condition: the caller holds at least one of these principals."""

    principals: list[PrincipalName] = Field(examples=[["group:wiki:engineering", "user:ada"]])


class AccessBody(Written):
    """Who may read: every clause must match and no `deny` may. Without clauses: nobody."""

    clauses: list[ClauseBody] = Field(default=[], examples=[[{"principals": ["everyone"]}]])
    deny: list[PrincipalName] = []

    def access(self) -> Access:
        """Return the rule; raise AccessRuleError where it is malformed."""
        access = Access(
            clauses=tuple(Clause(principals=tuple(map(Principal, clause.principals))) for clause in self.clauses),
            deny=tuple(map(Principal, self.deny)),
        )
        check_access(access)
        return access


class LinkBody(Written):
    """An edge to another document."""

    relation: Name
    target: Url


class Metadata(Written):
    """All that is said of a document besides its content. What is left out is empty: a PUT is the full state."""

    title: Title
    knowledge_base: Name | None = Field(default=None, description="Omitted: the source's own knowledge base.")
    url: Url | None = None
    media_type: Name | None = Field(default=None, description="A hint for plain text; the content decides.")
    language: Name | None = None
    access: AccessBody = Field(default=AccessBody(), description="Omitted: nobody may read the document.")
    attributes: Attributes = {}
    links: list[LinkBody] = Field(default=[], max_length=1_000)
    classification: Name | None = None
    retain_until: Moment | None = None
    holds: list[Name] = Field(default=[], max_length=100)
    region: Name | None = None
    source_version: int | None = Field(default=None, ge=0, lt=2**63, description="Grows with the source's own states.")
    occurred_at: Moment | None = Field(default=None, description="When it changed at the source.")
    lane: Lane = Field(default=Lane.LIVE, description="`backfill` lets live edits go first.")

    def state(self, *, knowledge_base: KnowledgeBaseId, content: BlobRef, media_type: str) -> DocumentState:
        """Return the full state to submit."""
        return DocumentState(
            knowledge_base=knowledge_base,
            title=self.title,
            url=self.url,
            media_type=media_type,
            language=self.language,
            content=content,
            access=self.access.access(),
            attributes=attributes_of(self.attributes),
            links=_links(self.links),
            classification=self.classification,
            retain_until=self.retain_until,
            holds=tuple(self.holds),
            region=self.region,
        )


class DocumentPut(Metadata):
    """A document whose content is text. For files use multipart/form-data."""

    text: str = Field(description="The content: plain text, Markdown or HTML, as `media_type` says.")


Clearable: TypeAlias = Annotated[
    str,
    StringConstraints(
        pattern=r"^(url|media_type|language|access|attributes(\.[A-Za-z0-9_-]+)?|links|classification|retain_until|holds|region)$"
    ),
]


class DocumentPatchBody(Written):
    """Fields to change. What is left out stays; `clear` empties fields by name; attributes are merged by name."""

    title: Title | None = None
    knowledge_base: Name | None = None
    url: Url | None = None
    media_type: Name | None = None
    language: Name | None = None
    access: AccessBody | None = None
    attributes: Attributes = {}
    links: list[LinkBody] | None = Field(default=None, max_length=1_000)
    classification: Name | None = None
    retain_until: Moment | None = None
    holds: list[Name] | None = Field(default=None, max_length=100)
    region: Name | None = None
    clear: list[Clearable] = Field(default=[], examples=[["url", "attributes.status"]])
    source_version: int | None = Field(default=None, ge=0, lt=2**63)
    occurred_at: Moment | None = None

    def patch(self) -> DocumentPatch:
        """Return the patch to submit."""
        return DocumentPatch(
            knowledge_base=None if self.knowledge_base is None else KnowledgeBaseId(self.knowledge_base),
            title=self.title,
            url=self.url,
            media_type=self.media_type,
            language=self.language,
            access=None if self.access is None else self.access.access(),
            attributes=attributes_of(self.attributes),
            links=None if self.links is None else _links(self.links),
            classification=self.classification,
            retain_until=self.retain_until,
            holds=None if self.holds is None else tuple(self.holds),
            region=self.region,
            clear=tuple(self.clear),
        )


class BatchKey(Written):
    """Which document an item of a batch is about; here the external id is written as it is."""

    source: Name
    external_id: ExternalId
    if_match: int | None = Field(default=None, ge=0, description="The expected revision; 0: must not exist yet.")


class BatchPut(BatchKey, DocumentPut):
    """Upsert a document with text."""

    op: Literal["put"]


class BatchPatch(BatchKey, DocumentPatchBody):
    """Change fields of a document."""

    op: Literal["patch"]


class BatchDelete(BatchKey):
    """Delete a document."""

    op: Literal["delete"]
    source_version: int | None = Field(default=None, ge=0, lt=2**63)


BatchItem: TypeAlias = Annotated[BatchPut | BatchPatch | BatchDelete, Field(discriminator="op")]


class Accepted(BaseModel, frozen=True):
    """A wish is in the log. Admission decides next; the token lets a reader wait for the outcome."""

    document_id: DocumentId
    token: str = Field(description="Pass it as `after` to read your own write.")


class BatchResult(BaseModel, frozen=True):
    """What became of one line."""

    line: int = Field(description="1-based, of the body; blank lines count, and have no result.")
    status: int = Field(description="202: submitted. 4xx: refused. 5xx: not certain; send the line again.")
    document_id: DocumentId | None = None
    problem: Problem | None = None


class BatchOutcome(BaseModel, frozen=True):
    """A result per line, in order."""

    accepted: int
    refused: int = Field(description="Lines with a problem.")
    token: str | None = Field(description="Covers all accepted lines.")
    resume_at_line: int | None = Field(
        description="Null: every line has its end. Else send this line and all after it again; that is harmless."
    )
    results: list[BatchResult]


class BatchProblem(Problem, frozen=True):
    """Why a batch was not done to its end, and what was done of it."""

    batch: BatchOutcome | None = Field(default=None, description="Absent where no line was looked at.")


class ListQuery(Written):
    """Which documents to list. Filters are exact, but for `title`: words that the title holds."""

    knowledge_base: Name | None = None
    source: Name | None = None
    external_id: ExternalId | None = Field(default=None, description="As it is at the source, not encoded.")
    media_type: Name | None = None
    status: DocumentStatus | None = None
    title: Title | None = None
    updated_from: AwareDatetime | None = None
    updated_until: AwareDatetime | None = None
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = Field(default=None, max_length=4_000)
    after: str | None = Field(default=None, description="See the header Headwater-After.")

    def wanted(self) -> Wanted:
        """Return the filters alone."""
        return Wanted(
            knowledge_base=self.knowledge_base,
            source=self.source,
            external_id=self.external_id,
            media_type=self.media_type,
            status=self.status,
            title=self.title,
            updated_from=self.updated_from,
            updated_until=self.updated_until,
        )


def attributes_of(written: Attributes) -> Mapping[str, AttributeValue]:
    """Return attributes as events carry them."""
    return {
        name: tuple(_scalar(item) for item in value) if isinstance(value, list) else _scalar(value)
        for name, value in written.items()
    }


def _scalar(item: AttributeItem) -> AttributeScalar:
    return item.time if isinstance(item, Time) else item


def _links(written: list[LinkBody]) -> tuple[Link, ...]:
    return tuple(Link(relation=link.relation, target=link.target) for link in written)
