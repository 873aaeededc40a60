"""Limits that protect the log: the size of a file, quotas, the deletion budget of a source, holds and retention.

Counters belong to one partition, and each partition enforces its share of a limit, rounded up: no worker has to ask
another. Documents spread by hash, so refusals may begin a little before the whole limit is used, and a limit smaller
than the number of partitions admits up to one per partition.
"""

from datetime import datetime

from schemas.events.documents import DocumentChanged, DocumentState, DocumentSubmitted
from streams.admit.context import Context
from streams.admit.outcomes import Refusal, RefusedError


def check_quota(
    submission: DocumentSubmitted, state: DocumentState, previous: DocumentState | None, context: Context
) -> None:
    """Refuse a document or content that the tenant has no room for. What does not grow is always admitted."""
    tenant = context.tenant(submission.tenant_id)
    if tenant is None:
        return
    common = context.limits.of(submission.tenant_id)
    usage = context.usage(submission.tenant_id, submission.source)
    limit = common.max_documents if tenant.max_documents is None else tenant.max_documents
    if limit is not None and previous is None and usage.documents >= context.share(limit):
        raise RefusedError(Refusal.QUOTA_DOCUMENTS, f"the tenant may hold {limit} documents: delete some or raise it")
    growth = _size(state) - (0 if previous is None else _size(previous))
    limit = common.max_content_bytes if tenant.max_content_bytes is None else tenant.max_content_bytes
    if limit is not None and growth > 0 and usage.content_bytes + growth > context.share(limit):
        raise RefusedError(
            Refusal.QUOTA_CONTENT_BYTES, f"the tenant may hold {limit} bytes of content: delete some or raise it"
        )


def check_file(
    submission: DocumentSubmitted, state: DocumentState, previous: DocumentState | None, context: Context
) -> None:
    """Refuse a file above the tenant's limit. One that is there already keeps its place, whatever else changes."""
    limit = context.limits.of(submission.tenant_id).max_file_bytes
    if limit is None or state.content is None or (previous is not None and state.content == previous.content):
        return
    if state.content.size_bytes > limit:
        raise RefusedError(
            Refusal.FILE_TOO_LARGE,
            f"content: {state.content.size_bytes} bytes, and a file may have {limit}: split it, or raise the setting "
            "limits.max_file_bytes",
        )


def check_deletion_budget(submission: DocumentSubmitted, context: Context) -> None:
    """Refuse what goes beyond a source's deletions per hour: to a listing that broke, everything looks deleted."""
    source = context.source(submission.tenant_id, submission.source)
    limit = None if source is None else source.max_deletions_per_hour
    if limit is None:
        return
    if context.usage(submission.tenant_id, submission.source).deletions >= context.share(limit):
        raise RefusedError(
            Refusal.DELETION_BUDGET,
            f"the source may delete {limit} documents an hour: check its listing, then raise max_deletions_per_hour",
        )


def check_deletable(record: DocumentChanged, now: datetime) -> None:
    """Refuse to delete what is under a hold or must be kept."""
    if record.holds:
        raise RefusedError(Refusal.HELD, f"holds: {len(record.holds)} in force; release them with a patch first")
    if record.retain_until is not None and record.retain_until > now:
        raise RefusedError(Refusal.RETAINED, f"retain_until: kept until {record.retain_until.isoformat()}")


def is_deletable(record: DocumentChanged, now: datetime) -> bool:
    """Say whether neither a hold nor retention forbids the deletion."""
    return not record.holds and (record.retain_until is None or record.retain_until <= now)


def _size(state: DocumentState) -> int:
    return 0 if state.content is None else state.content.size_bytes
