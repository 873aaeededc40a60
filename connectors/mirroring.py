"""Groups of a source become groups of the directory. Pure."""

from datetime import datetime
from uuid import uuid4

from connectors.protocol import GroupMirrored
from schemas.events.directory import DirectoryKind, DirectoryOp, DirectorySubmitted
from schemas.ids import Principal, SourceId, TenantId


def mirrored(group: GroupMirrored, *, tenant: TenantId, source: SourceId, at: datetime) -> DirectorySubmitted:
    """Return the command that makes the directory's group what the source's is. Repeating it changes nothing."""
    return DirectorySubmitted(
        event_id=uuid4(),
        tenant_id=tenant,
        occurred_at=at,
        observed_at=at,
        kind=DirectoryKind.GROUP,
        record_id=f"{source}:{group.group_id}",
        op=DirectoryOp.DELETE if group.group is None else DirectoryOp.PUT,
        record=group.group,
        expected_revision=None,  # the source decides, whatever somebody wrote there meanwhile
        actor=Principal(f"group:{source}:connector"),
    )
