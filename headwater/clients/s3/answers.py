"""What S3 answers: pages of a listing, tags, and refusals in our terms."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET

from headwater.errors import FatalError, HeadwaterError, RetryableError, SourceGoneError, UnauthorisedError
from headwater.ports.objects import (
    ListedObject,
    ObjectArchivedError,
    ObjectChangedError,
    ObjectDeniedError,
    ObjectVanishedError,
)

# Read only after a restore; GLACIER_IR is read at once.
ARCHIVES: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_BUSY: Final = frozenset({"SlowDown", "RequestTimeout", "ServiceUnavailable", "InternalError", "OperationAborted"})
_BUSY_STATUS: Final = frozenset({408, 429, 500, 502, 503, 504})
_REGION: Final = frozenset({"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"})
_UNTAGGED: Final = frozenset({"NoSuchTagSet", "NoSuchTagSetError"})
_SAID: Final[Mapping[str, tuple[type[FatalError], str]]] = {
    "InvalidAccessKeyId": (UnauthorisedError, "the store knows no such access_key_id; check it"),
    "SignatureDoesNotMatch": (UnauthorisedError, "secret_access_key does not belong to access_key_id; check it"),
    "ExpiredToken": (UnauthorisedError, "the session token has expired; give new credentials"),
    "InvalidToken": (UnauthorisedError, "the store does not take this session_token; give new credentials"),
    "NoSuchBucket": (SourceGoneError, "no such bucket; correct the URL"),
    "RequestTimeTooSkewed": (FatalError, "this host's clock is too far from the store's; set the clock"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One answer to a listing. `token` asks for the next one; None: there is no more."""

    objects: tuple[ListedObject, ...]
    token: str | None


def page_of(content: bytes, *, seen_ns: int) -> Page:
    """Read a ListBucketResult whose keys are URL-encoded. Raise RetryableError for half an answer."""
    root = _parsed(content)
    token = root.findtext("NextContinuationToken")
    truncated = root.findtext("IsTruncated")
    if truncated not in {"true", "false"} or (truncated == "true" and not token):
        raise RetryableError("the store's listing does not say whether there is more; asking again")
    encoded = root.findtext("EncodingType") == "url"
    objects = tuple(_listed(each, encoded=encoded, seen_ns=seen_ns) for each in root.iterfind("Contents"))
    return Page(objects=objects, token=token if truncated == "true" else None)


def _listed(entry: ET.Element, *, encoded: bool, seen_ns: int) -> ListedObject:
    key, size = entry.findtext("Key"), entry.findtext("Size")
    modified = entry.findtext("LastModified")
    if key is None or size is None or modified is None:
        raise RetryableError("the store's listing has an entry without key, size or time; asking again")
    archived = entry.findtext("StorageClass") in ARCHIVES and entry.findtext("RestoreStatus/RestoreExpiryDate") is None
    return ListedObject(
        key=unquote_plus(key) if encoded else key,  # S3 writes a space as + here
        size_bytes=int(size),
        modified_at=datetime.fromisoformat(modified).astimezone(UTC),
        etag=entry.findtext("ETag"),
        seen_ns=seen_ns,
        archived=archived,
    )


def head_of(key: str, headers: Mapping[str, str], *, seen_ns: int) -> ListedObject:
    """Read the headers of a look at one object."""
    restored = 'ongoing-request="false"' in headers.get("x-amz-restore", "")
    return ListedObject(
        key=key,
        size_bytes=int(headers["content-length"]),
        modified_at=parsedate_to_datetime(headers["last-modified"]).astimezone(UTC),
        etag=headers.get("etag"),
        seen_ns=seen_ns,
        archived=headers.get("x-amz-storage-class") in ARCHIVES and not restored,
    )


def tags_of(content: bytes) -> dict[str, str]:
    """Read a Tagging answer."""
    tags = _parsed(content).iterfind("TagSet/Tag")
    return {tag.findtext("Key", ""): tag.findtext("Value", "") for tag in tags}


def says_untagged(content: bytes) -> bool:
    """Say whether a refusal means that nothing was ever tagged: some stores have no empty answer."""
    return _code(content) in _UNTAGGED


def _parsed(content: bytes) -> ET.Element:
    try:
        root = ET.fromstring(content)  # noqa: S314 - of the store that an administrator named; expat refuses entity bombs
    except ET.ParseError as error:
        raise RetryableError("the store's answer is not whole XML; asking again") from error
    for each in root.iter():  # namespaces differ between stores, names do not
        each.tag = each.tag.rpartition("}")[2]
    return root


def refusal(status: int, content: bytes, *, where: str, right: str, key: str | None) -> HeadwaterError:
    """Return what an error answer means. `right` is what the call needs; `key`: the one object it was about."""
    code = _code(content)
    if status in _BUSY_STATUS or code in _BUSY:
        return RetryableError(f"{where}: busy ({code or status})")
    if code in _SAID:
        kind, what = _SAID[code]
        return kind(f"{where}: {what}")
    if code in _REGION or status in {301, 307}:
        named = re.search(rb"<Region>([a-z0-9-]{1,40})</Region>", content)
        hint = f"set region to {named[1].decode()}" if named else "set region or endpoint to the bucket's own"
        return FatalError(f"{where}: the bucket is elsewhere; {hint}")
    if key is None:
        return _of_the_bucket(status, code, where=where, right=right)
    return _of_an_object(status, code, key=key, right=right)


def _of_the_bucket(status: int, code: str, *, where: str, right: str) -> HeadwaterError:
    if status in {401, 403}:
        return UnauthorisedError(f"{where}: access denied; grant {right} to the credentials given")
    return FatalError(f"{where}: the store refuses with {status} {code}; check URL, endpoint and region")


def _of_an_object(status: int, code: str, *, key: str, right: str) -> HeadwaterError:
    if status == 404:  # noqa: PLR2004 - not found
        return ObjectVanishedError(f"{key}: gone since it was listed")
    if status == 412:  # noqa: PLR2004 - precondition failed
        return ObjectChangedError(f"{key}: changed since it was listed; it is tried again")
    if code == "InvalidObjectState":
        return ObjectArchivedError(f"{key}: lies in an archive; restore it in the store, then it is read")
    if status in {401, 403}:
        return ObjectDeniedError(
            f"{key}: access denied; grant {right} for it (and kms:Decrypt, if a key of yours encrypts it)"
        )
    return ObjectDeniedError(f"{key}: the store refuses with {status} {code}")


def _code(content: bytes) -> str:
    found = re.search(rb"<Code>([A-Za-z0-9.]{1,80})</Code>", content)
    return found[1].decode() if found else ""
