"""The topics of the platform. Their settings live in `schemas/catalogue/*.yaml`, one file a topic."""

from enum import StrEnum

from schemas.ids import GenerationName


class Topic(StrEnum):
    """A topic's base name. Those in `PER_GENERATION` carry the generation's name at the end."""

    DOCUMENTS_SUBMITTED = "rag.documents.submitted"
    DOCUMENTS_BACKFILL = "rag.documents.backfill"
    DOCUMENTS_CHANGED = "rag.documents.changed"
    DELETIONS_QUARANTINED = "rag.deletions.quarantined"
    DOCUMENTS_DEFERRED = "rag.documents.deferred"
    CHUNKS_PREPARED = "rag.chunks.prepared"
    CHUNKS_EMBEDDED = "rag.chunks.embedded"
    DOCUMENTS_PROGRESSED = "rag.documents.progressed"
    DOCUMENTS_INGESTED = "rag.documents.ingested"
    QUERIES_EXECUTED = "rag.queries.executed"
    FEEDBACK_RECEIVED = "rag.feedback.received"
    REVIEWS_REQUESTED = "rag.reviews.requested"
    CANARIES_MEASURED = "rag.canaries.measured"
    AUDIT_RECORDED = "rag.audit.recorded"
    DIRECTORY_SUBMITTED = "rag.directory.submitted"
    DIRECTORY_CHANGED = "rag.directory.changed"
    SYNCS_REQUESTED = "rag.syncs.requested"
    SYNCS_PROGRESSED = "rag.syncs.progressed"
    SOURCES_TESTED = "rag.sources.tested"
    CONNECTORS_CURSORS = "rag.connectors.cursors"
    EVENTS_PARKED = "rag.events.parked"
    EVENTS_RESOLVED = "rag.events.resolved"


PER_GENERATION = frozenset({Topic.DOCUMENTS_DEFERRED, Topic.CHUNKS_PREPARED, Topic.CHUNKS_EMBEDDED})


def topic_name(topic: Topic, *, generation: GenerationName, prefix: str = "") -> str:
    """Name as Kafka knows it.

    `prefix` sets one installation (or one test) apart from another on a shared broker; it ends in a dot or is empty.
    """
    suffix = f".{generation}" if topic in PER_GENERATION else ""
    return f"{prefix}{topic.value}{suffix}"
