"""Records of one log in the terms of another.

A record names offsets: where its submission lies, and how much of the directory its writer had read. In a log that is
written anew these offsets mean something else, or do not exist. Only they are translated; revisions, times, access and
contents stay.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from schemas.events.base import Lane, Position
from schemas.events.directory import DirectoryChanged
from schemas.events.documents import DeletionQuarantined, DocumentChanged

# The offset of a submission that lies in another log: below every offset of this one, so that no submission of this
# log is ever taken for one that was settled before.
ELSEWHERE: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryOffsets:
    """Where the records of the old directory lie in the new one. Both ascend and have the same length."""

    old: Sequence[int]
    new: Sequence[int]

    def position(self, old: int) -> int:
        """Translate a next offset: the one behind the last record that is still there and lay before it.

        Order is kept: a document admitted after a directory record stays so, which is what the gate waits for and
        what the deletion of a knowledge base spares.
        """
        before = bisect_left(self.old, old)
        return self.new[before - 1] + 1 if before else 0

    def offset(self, old: int) -> int:
        """Translate the offset of a record; `ELSEWHERE` where it has been superseded since."""
        found = bisect_left(self.old, old)
        return self.new[found] if found < len(self.old) and self.old[found] == old else ELSEWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicNames:
    """What the positions in records refer to: names in one installation."""

    submitted: str
    directory: str
    directory_submitted: str


def translate_document(
    record: DocumentChanged, *, partition: int, directory: DirectoryOffsets, old: TopicNames, new: TopicNames
) -> DocumentChanged:
    """Return a record as the new log has it: same revision, and in the lane that gives way to edits made meanwhile."""
    if record.submitted.topic == old.directory:  # deleted with its knowledge base: costs no deletion budget
        submitted = Position(topic=new.directory, partition=0, offset=directory.offset(record.submitted.offset))
    else:
        submitted = Position(topic=new.submitted, partition=partition, offset=ELSEWHERE)
    return replace(
        record,
        lane=Lane.BACKFILL,
        directory_position=directory.position(record.directory_position),
        submitted=submitted,
        live_offset=None,  # the new installation's submissions begin anew
        backfill_offset=None,
    )


def translate_waiting(record: DeletionQuarantined, *, partition: int, new: TopicNames) -> DeletionQuarantined:
    """Return a deletion that waits as the new log has it. Its position names it to who approves it.

    No other deletion of the document can have that name: those to come lie in this log.
    """
    return replace(record, submitted=Position(topic=new.submitted, partition=partition, offset=ELSEWHERE))


def translate_directory(record: DirectoryChanged, *, new: TopicNames) -> DirectoryChanged:
    """Return a directory record as the new log has it."""
    return replace(record, submitted=Position(topic=new.directory_submitted, partition=0, offset=ELSEWHERE))
