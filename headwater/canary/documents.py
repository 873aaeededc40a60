"""The canary's documents: one for each partition, small, with a word that no other edition has."""

import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Final

from headwater.canary.plan import Edition, Look
from headwater.clients.kafka.murmur2 import partition_of
from schemas.ids import DocumentId, SourceId, TenantId, document_id, document_key

SOURCE: Final = SourceId("canary")
TITLE: Final = "Canary"
_MARK_LETTERS: Final = 16
# Found by meaning: neither question nor text has the other's words.
QUESTION: Final = "Which small bird warns the miners of bad air?"
_TEXT: Final = "# Canary\n\nA yellow songbird is carried into the pit to notice poisonous gas. Its tag reads {mark}.\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """The document of one partition."""

    partition: int
    external_id: str
    document_id: DocumentId


def probes(tenant: TenantId, partitions: int) -> tuple[Probe, ...]:
    """Return a document for each partition of the document topics, always the same ones.

    External ids are numbered; a partition gets the first whose key the partitioner (murmur2) puts there.
    """
    found: dict[int, Probe] = {}
    for number in count():
        if len(found) == partitions:
            break
        external_id = f"canary-{number}"
        document = document_id(tenant, SOURCE, external_id)
        partition = partition_of(document_key(tenant, document), partitions)
        found.setdefault(partition, Probe(partition=partition, external_id=external_id, document_id=document))
    return tuple(found[partition] for partition in range(partitions))


def new_marks() -> Mapping[Edition, str]:
    """Return a word for each edition of one round: letters only, so that no analyzer cuts it."""
    return {
        edition: "".join(secrets.choice(string.ascii_lowercase) for _ in range(_MARK_LETTERS)) for edition in Edition
    }


def text_of(mark: str) -> str:
    """Return an edition's content."""
    return _TEXT.format(mark=mark)


def query_of(look: Look, marks: Mapping[Edition, str]) -> str:
    """Return what the witness asks: the words of all editions, or a question in other words."""
    return QUESTION if look.mode == "vector" else " ".join(marks.values())


def is_as_wanted(look: Look, marks: Mapping[Edition, str], texts: list[str]) -> bool:
    """Say whether what was found of the document (the texts of its passages) is what the look waits for."""
    if look.shown is None:
        return not texts
    shown, gone = marks[look.shown], None if look.gone is None else marks[look.gone]
    return any(shown in text for text in texts) and not any(gone is not None and gone in text for text in texts)
