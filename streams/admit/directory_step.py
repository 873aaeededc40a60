"""Decides what a directory command becomes: pure, like documents.

Group cycles are admitted: sources have them, and closing a caller's groups is safe against them. Groups may name
members that do not exist yet: a connector reports in any order.
"""

import re

from schemas.events.directory import (
    ApiKey,
    DirectoryChanged,
    DirectoryKind,
    DirectoryOp,
    DirectoryRecord,
    DirectorySubmitted,
    Generation,
    Group,
    KnowledgeBase,
    RetrievalProfile,
    Source,
    Tenant,
    User,
)
from schemas.ids import SYSTEM_TENANT
from streams.admit.context import Context
from streams.admit.outcomes import (
    AdmittedDirectory,
    DirectoryDecision,
    Drop,
    Dropped,
    Refusal,
    RefusedError,
)
from streams.admit.step import event_id_of, next_revision
from streams.admit.validation import check_principals

RECORD_TYPES: dict[DirectoryKind, type[DirectoryRecord]] = {
    DirectoryKind.TENANT: Tenant,
    DirectoryKind.USER: User,
    DirectoryKind.GROUP: Group,
    DirectoryKind.API_KEY: ApiKey,
    DirectoryKind.KNOWLEDGE_BASE: KnowledgeBase,
    DirectoryKind.SOURCE: Source,
    DirectoryKind.RETRIEVAL_PROFILE: RetrievalProfile,
    DirectoryKind.GENERATION: Generation,
}
_SYSTEM_KINDS = frozenset({DirectoryKind.TENANT, DirectoryKind.GENERATION})
# Users and groups keep the ids of their origin (an e-mail address, a path); all others appear in names and URLs.
_FOREIGN_KINDS = frozenset({DirectoryKind.USER, DirectoryKind.GROUP})
_OWN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_FOREIGN_ID = re.compile(r"[^\s/\x00-\x1f][^/\x00-\x1f]{0,255}")
_GROUP_ID = re.compile(r"[^:\s/\x00-\x1f]+:[^/\x00-\x1f]+")


def decide_directory(
    command: DirectorySubmitted, latest: DirectoryChanged | None, context: Context
) -> DirectoryDecision:
    """Say whether the command becomes a record of the directory. Same arguments, same answer.

    `latest` is the newest record of the command's key, a deletion included: revisions go on growing after it.
    """
    present = latest if latest is not None and latest.op is DirectoryOp.PUT else None
    if latest is not None and _is_replay(command, latest, context):
        return Dropped(reason=Drop.REPLAYED)
    try:
        _check_form(command)
        _check_revision(command, present)
        if command.op is DirectoryOp.DELETE:
            if present is None:
                return Dropped(reason=Drop.GONE_ALREADY)
        else:
            if present is not None and present.record == command.record:
                return Dropped(reason=Drop.UNCHANGED)
            _check_references(command, context)
    except RefusedError as error:
        return error.refused
    revision = next_revision(None if latest is None else latest.revision, context.now_ms)
    return AdmittedDirectory(
        record=DirectoryChanged(
            event_id=event_id_of(context.position, "directory"),
            tenant_id=command.tenant_id,
            occurred_at=command.occurred_at,
            observed_at=command.observed_at,
            kind=command.kind,
            record_id=command.record_id,
            op=command.op,
            revision=revision,
            record=command.record,
            admitted_at=context.now,
            submitted=context.position,
            with_documents=command.with_documents,
            created=revision if present is None else present.created,
        )
    )


def _is_replay(command: DirectorySubmitted, latest: DirectoryChanged, context: Context) -> bool:
    # A topic that was created anew counts from zero again; its commands are younger than what is known.
    return context.position.offset <= latest.submitted.offset and command.observed_at <= latest.observed_at


def _check_form(command: DirectorySubmitted) -> None:
    if command.op is DirectoryOp.DELETE:
        if command.record is not None:
            raise _invalid("record: leave it out of a deletion")
    elif not isinstance(command.record, RECORD_TYPES[command.kind]):
        raise _invalid(f"record: kind {command.kind.value!r} takes a {RECORD_TYPES[command.kind].__name__}")
    if command.with_documents and (command.kind, command.op) != (DirectoryKind.SOURCE, DirectoryOp.DELETE):
        raise _invalid("with_documents: only a source is deleted with its documents")
    if command.kind in _SYSTEM_KINDS and command.tenant_id != SYSTEM_TENANT:
        raise _invalid(f"tenant_id: {command.kind.value} belong to the tenant {SYSTEM_TENANT!r}")
    _check_id(command)
    if isinstance(command.record, Group):
        check_principals("members", command.record.members)


def _check_id(command: DirectorySubmitted) -> None:
    form = _FOREIGN_ID if command.kind in _FOREIGN_KINDS else _OWN_ID
    if not form.fullmatch(command.record_id):
        raise _invalid("record_id: letters, digits, `.`, `_` and `-`; ids of users and groups may not hold a `/`")
    if command.kind is DirectoryKind.GROUP and not _GROUP_ID.fullmatch(command.record_id):
        raise _invalid("record_id: groups are named `SOURCE:ID`")


def _check_revision(command: DirectorySubmitted, present: DirectoryChanged | None) -> None:
    if command.expected_revision is None:
        return
    current = 0 if present is None else present.revision
    if command.expected_revision != current:
        raise RefusedError(
            Refusal.REVISION_MISMATCH, f"expected_revision: the record is at {current}; read it and try again"
        )


def _check_references(command: DirectorySubmitted, context: Context) -> None:
    if command.tenant_id != SYSTEM_TENANT and context.tenant(command.tenant_id) is None:
        raise RefusedError(Refusal.UNKNOWN_TENANT, "tenant_id: no such tenant; create it first")
    match command.record:
        case Source(knowledge_base=named):
            known = context.knowledge_base(command.tenant_id, named) is not None
            reference = "knowledge_base"
        case ApiKey(user=user):
            known = context.directory.get(command.tenant_id, DirectoryKind.USER, user) is not None
            reference = "user"
        case KnowledgeBase(retrieval_profile=str(profile)):
            kind = DirectoryKind.RETRIEVAL_PROFILE
            known = context.directory.get(command.tenant_id, kind, profile) is not None
            reference = "retrieval_profile"
        case _:
            return
    if not known:
        raise RefusedError(Refusal.UNKNOWN_REFERENCE, f"{reference}: it names a record that does not exist")


def _invalid(detail: str) -> RefusedError:
    return RefusedError(Refusal.INVALID, detail)
