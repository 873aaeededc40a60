"""What one document may take of the machine."""

from dataclasses import dataclass

MAX_PAGES = 5_000  # of a paged document, unless its request says otherwise
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ParserLimits:
    """Limits of a parser process. Beyond one of them a document ends with a LimitExceededError that names it."""

    memory_bytes: int = 2048 * _MIB  # address space, which is more than what is resident
    cpu_s: int = 60  # per document
    heavy_pages: int | None = None  # more make a document heavy; None: in a process that serves heavy ones
    wall_s: float = 120.0  # per document; below a stage's budget for one event
    start_s: float = 60.0  # a process that is not ready by then never will be
    recycle_after: int = 500  # documents
    recycle_resident_bytes: int = 768 * _MIB  # a process that has grown to this is replaced after its document
