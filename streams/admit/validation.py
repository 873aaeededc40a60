"""What a submission must look like. Refusals name the field and the remedy and quote nothing."""

import math
import re
from collections.abc import Iterable

from schemas.events.documents import Access, AttributeScalar, BlobRef, DocumentState, DocumentSubmitted, SubmissionOp
from schemas.ids import document_id
from streams.admit.outcomes import Refusal, RefusedError

# A broker takes 1 MiB: a quarter of that in text leaves room for names, framing and the chunk events that repeat it.
MAX_STATE_BYTES = 256 * 1024
MAX_ATTRIBUTES = 128
MAX_NAME_CHARS = 128
MAX_DOUBT_CHARS = 1_000  # it is repeated in the audit trail and with each deletion that waits

_SHA256 = re.compile(r"[0-9a-f]{64}")
_ATTRIBUTE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_PRINCIPAL = re.compile(r"everyone|user:[^\x00-\x1f]+|group:[^:\x00-\x1f]+:[^\x00-\x1f]+")


def check_submission(submission: DocumentSubmitted) -> None:
    """Refuse a submission that contradicts itself, before anything is looked up."""
    expected = document_id(submission.tenant_id, submission.source, submission.external_id)
    if submission.document_id != expected:
        raise _invalid("document_id: it is not the hash of tenant, source and external_id; use schemas.ids.document_id")
    if (submission.op is SubmissionOp.PUT) != (submission.state is not None):
        raise _invalid("state: give it for op `put`, and only there")
    if (submission.op is SubmissionOp.PATCH) != (submission.patch is not None):
        raise _invalid("patch: give it for op `patch`, and only there")
    if submission.op is SubmissionOp.RERUN:
        _check_rerun(submission)
    if submission.approves is not None:
        _check_approval(submission)
    if submission.doubt is not None:
        _check_doubt(submission)


def check_state(state: DocumentState) -> None:
    """Refuse a state that later stages could not carry."""
    _check_attributes(state)
    _check_content(state.content)
    check_principals("access", _principals(state.access))
    if _size(state) > MAX_STATE_BYTES:
        raise _invalid(f"state: more than {MAX_STATE_BYTES} bytes of metadata; move text into the content")


def check_principals(field: str, principals: Iterable[str]) -> None:
    """Refuse what is not a principal."""
    if not all(_PRINCIPAL.fullmatch(principal) for principal in principals):
        raise _invalid(f"{field}: write principals as `user:ID`, `group:SOURCE:ID` or `everyone`")


def _check_rerun(submission: DocumentSubmitted) -> None:
    if submission.expected_revision is None:
        raise _invalid("expected_revision: give the revision that is to run again")
    if submission.actor is None:
        raise _invalid("actor: say who asks; a source never asks for a rerun")
    if submission.source_version is not None:
        raise _invalid("source_version: leave it out; a rerun says nothing of the source")


def _check_approval(submission: DocumentSubmitted) -> None:
    if submission.op is not SubmissionOp.DELETE:
        raise _invalid("approves: only a deletion approves a deletion")
    if submission.actor is None:
        raise _invalid("actor: say who approves")
    if submission.source_version is not None:
        raise _invalid("source_version: leave it out; an approval says nothing of the source")


def _check_doubt(submission: DocumentSubmitted) -> None:
    if submission.op is not SubmissionOp.DELETE or submission.approves is not None:
        raise _invalid("doubt: only a deletion can be doubted, and no approval")
    if not submission.doubt or len(submission.doubt) > MAX_DOUBT_CHARS:
        raise _invalid(f"doubt: say why, in at most {MAX_DOUBT_CHARS} characters")


def _check_attributes(state: DocumentState) -> None:
    if len(state.attributes) > MAX_ATTRIBUTES:
        raise _invalid(f"attributes: more than {MAX_ATTRIBUTES}")
    for name in state.attributes:
        if len(name) > MAX_NAME_CHARS or not _ATTRIBUTE_NAME.fullmatch(name):
            raise _invalid("attributes: names consist of letters, digits, `_` and `-`, and begin with a letter or `_`")
    for value in state.attributes.values():
        if any(isinstance(scalar, float) and not math.isfinite(scalar) for scalar in _scalars(value)):
            raise _invalid("attributes: not a finite number; no store can filter by it")


def _check_content(content: BlobRef | None) -> None:
    if content is not None and (content.size_bytes < 0 or not _SHA256.fullmatch(content.sha256)):
        raise _invalid("content: give 64 lower-case hex digits of SHA-256 and a size of zero or more bytes")


def _principals(access: Access) -> Iterable[str]:
    for clause in access.clauses:
        yield from clause.principals
    yield from access.deny


def _size(state: DocumentState) -> int:
    texts = [state.title, state.url, state.media_type, state.language, state.classification, state.region]
    scalars = (scalar for value in state.attributes.values() for scalar in _scalars(value))
    links = (part for link in state.links for part in (link.relation, link.target))
    parts = (*filter(None, texts), *_principals(state.access), *state.holds, *state.attributes, *links)
    return sum(len(part.encode()) for part in parts) + sum(
        len(scalar.encode()) if isinstance(scalar, str) else 8 for scalar in scalars
    )


def _scalars(value: AttributeScalar | tuple[AttributeScalar, ...]) -> tuple[AttributeScalar, ...]:
    return value if isinstance(value, tuple) else (value,)


def _invalid(detail: str) -> RefusedError:
    return RefusedError(Refusal.INVALID, detail)
