"""A manifest: everything that one run of a backup consists of. Written last; without it a run never happened."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

from headwater.errors import FatalError
from schemas.topics import Topic

FORMAT: Final = 2
_READABLE: Final = (1, 2)  # runs of format 1 have no deletions that wait
# What a backup copies. The order of reading is a promise: see `headwater/archive/taking.py`.
ARCHIVED: Final = (
    Topic.CONNECTORS_CURSORS,
    Topic.DELETIONS_QUARANTINED,
    Topic.DOCUMENTS_CHANGED,
    Topic.DIRECTORY_CHANGED,
)
_HASH_DIGITS: Final = 16


class ManifestError(FatalError):
    """A manifest is damaged, or of a format that this build does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRef:
    """One segment of a topic, in the order of the log."""

    sha256: str
    size_bytes: int
    records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicArchive:
    """One topic as of a run: `segments` from the last full run on, and the next offset that no segment holds."""

    topic_id: str  # another one: the topic was created anew, and offsets mean something else
    positions: Mapping[int, int]
    segments: tuple[SegmentRef, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One run. Names everything that restoring it takes, so that any run can be restored without the others.

    A run of an earlier format has no entry for a topic that was not copied then.
    """

    created_at: datetime
    began_full_at: datetime  # when the chain of segments began
    parent: str | None  # the run that this one goes on from
    full_because: str | None  # why the segments begin anew; None for an incremental run
    topic_prefix: str
    topics: Mapping[Topic, TopicArchive]
    cursors_current: bool  # False: those of an earlier run, because admission was behind
    blobs_copied: int
    bytes_copied: int
    blobs_missing: tuple[str, ...]  # `tenant/hash` of contents that the blob store no longer had
    format: int = FORMAT

    @property
    def name(self) -> str:
        """Name of the run: sorts by time, ends in the hash of the manifest."""
        digest = hashlib.sha256(dump_manifest(self)).hexdigest()[:_HASH_DIGITS]
        return f"{self.created_at.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}-{digest}"


def dump_manifest(manifest: Manifest) -> bytes:
    """Return a manifest as JSON."""
    body = asdict(manifest) | {
        "created_at": manifest.created_at.isoformat(),
        "began_full_at": manifest.began_full_at.isoformat(),
        "topics": {
            topic.value: asdict(archive) | {"positions": {str(each): at for each, at in archive.positions.items()}}
            for topic, archive in manifest.topics.items()
        },
    }
    return json.dumps(body, indent=1, sort_keys=True).encode()


def load_manifest(data: bytes, *, name: str) -> Manifest:
    """Read what `dump_manifest` made under this name. Raises ManifestError."""
    if hashlib.sha256(data).hexdigest()[:_HASH_DIGITS] != name.rpartition("-")[2]:
        raise ManifestError(f"run {name}: its manifest was changed or cut short; use an earlier run")
    body: dict[str, Any] = json.loads(data)
    if body.get("format") not in _READABLE:
        raise ManifestError(f"run {name}: format {body.get('format')!r}; this build reads {FORMAT}: use a newer one")
    return Manifest(
        **body
        | {
            "created_at": datetime.fromisoformat(body["created_at"]),
            "began_full_at": datetime.fromisoformat(body["began_full_at"]),
            "topics": {Topic(topic): _topic(archive) for topic, archive in body["topics"].items()},
            "blobs_missing": tuple(body["blobs_missing"]),
        }
    )


def _topic(body: dict[str, Any]) -> TopicArchive:
    return TopicArchive(
        topic_id=body["topic_id"],
        positions={int(partition): offset for partition, offset in body["positions"].items()},
        segments=tuple(SegmentRef(**each) for each in body["segments"]),
    )
