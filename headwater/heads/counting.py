"""How many documents are complete in a generation, counted in the replica of this host."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from headwater.errors import FatalError
from headwater.heads.environment import open_reader
from headwater.heads.records import decode_head, decode_progress
from headwater.heads.replica import Replica, replica_folder
from headwater.ports.heads import Head
from headwater.settings import HeadsSettings
from schemas.events.base import Store
from schemas.events.documents import DocumentOp
from schemas.ids import DocumentId, GenerationName


@dataclass(frozen=True, slots=True, kw_only=True)
class Completeness:
    """Documents that are not deleted, and for each store those whose newest revision is complete there."""

    alive: int
    complete: Mapping[Store, int]


def live_heads(settings: HeadsSettings) -> Iterator[Head]:
    """Yield every document that is not deleted, with what is complete of it, in one snapshot.

    Raises FatalError where this host has no replica. The snapshot is held until the last: do not dawdle.
    """
    with _attached(settings) as replica, replica.environment.begin() as txn:
        progress = txn.cursor(db=replica.progress)
        for key, value in txn.cursor(db=replica.heads):
            complete = {}
            found = progress.set_range(key)
            while found and progress.key().startswith(key):
                where, revision = decode_progress(progress.key()[len(key) :], progress.value())
                complete[where] = revision
                found = progress.next()
            head = decode_head(DocumentId(key.hex()), value, complete)
            if head.op is not DocumentOp.DELETED:
                yield head


def is_complete(head: Head, generation: GenerationName, store: Store) -> bool:
    """Say whether a document's newest revision is complete in a store."""
    return head.complete.get((generation, store), 0) >= head.revision


def completeness(
    settings: HeadsSettings, generations: tuple[GenerationName, ...]
) -> dict[GenerationName, Completeness]:
    """Count all generations in one pass."""
    alive = 0
    complete = {(name, store): 0 for name in generations for store in Store}
    for head in live_heads(settings):
        alive += 1
        for name, store in complete:
            complete[name, store] += is_complete(head, name, store)
    return {
        name: Completeness(alive=alive, complete={store: complete[name, store] for store in Store})
        for name in generations
    }


@contextmanager
def _attached(settings: HeadsSettings) -> Iterator[Replica]:
    environment = open_reader(replica_folder(settings))
    if environment is None:
        raise FatalError(
            f"HEADWATER_HEADS__FOLDER {settings.folder}: no replica is here; run this on a host where "
            "`python -m headwater.heads` runs"
        )
    try:
        yield Replica(environment, create=False)
    finally:
        environment.close()
