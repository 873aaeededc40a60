"""How the stage and its parser processes talk: length-prefixed frames over pipes."""

import struct
from enum import IntEnum, StrEnum

HEADER = struct.Struct(">BQ")  # kind, length of the body in bytes


class Task(StrEnum):
    """What a worker is to do with a content."""

    PREPARE = "prepare"  # parse and cut it
    PAGES = "pages"  # read `count` pages from `first` on; the answer is empty where there are no pages
    JOIN = "join"  # the content is page ranges, one a line: join and cut them


class Frame(IntEnum):
    """What a frame's body is."""

    READY = 0  # a worker has started
    HINTS = 1  # JSON: task, declared, name, path; first and count for pages
    CONTENT = 2  # the document's bytes; empty when a path was given
    PREPARED = 3  # as `dump_prepared` writes it, after eight bytes: the worker's memory
    FAILED = 4  # JSON: error, reason


def frame(kind: Frame, body: bytes) -> bytes:
    """Return a frame as it travels."""
    return HEADER.pack(kind, len(body)) + body
