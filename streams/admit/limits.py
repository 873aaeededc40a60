"""Limits that protect the log: the size of a file, quotas, the deletion budget of a source, holds and retention.

Counters belong to one partition, and each partition enforces its share of a limit, rounded up: no worker has to ask
another. Documents spread by hash, so refusals may begin a little before the whole limit is used, and a limit smaller
than the number of partitions admits up to one per partition. What goes beyond the budget of deletions is not refused:
it waits.
"""

from datetime import datetime

from schemas.events.documents import DocumentChanged, DocumentState, DocumentSubmitted
from streams.admit.context import Context, Usage
from streams.admit.outcomes import Refusal, RefusedError

# What a source may delete in a day where it has no tenth of more: a folder of a few files may be emptied.
DELETIONS_PER_DAY = 100


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


def beyond_deletion_budget(submission: DocumentSubmitted, context: Context) -> str | None:
    """Say which of its source's budgets a deletion exceeds, None for none.

    To a listing that broke, everything looks deleted. The day's budget is of what the source had when the day began.
    """
    source = context.source(submission.tenant_id, submission.source)
    if source is None:
        return None
    usage = context.usage(submission.tenant_id, submission.source)
    hourly, daily = source.max_deletions_per_hour, source.max_deletions_per_day
    if hourly is not None and usage.deletions >= context.share(hourly):
        return f"more than max_deletions_per_hour of the source, {hourly}"
    if daily is not None:
        return f"more than max_deletions_per_day of the source, {daily}" if _is_used(usage, context, daily) else None
    tenth = (usage.source_documents + usage.deletions_today) // 10
    if usage.deletions_today >= tenth and _is_used(usage, context, DELETIONS_PER_DAY):
        return f"more than a tenth of the source's documents, and more than {DELETIONS_PER_DAY}, in a day"
    return None


def _is_used(usage: Usage, context: Context, daily: int) -> bool:
    return usage.deletions_today >= context.share(daily)


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
