"""A parser process: takes one document after the other from its input, answers with prepared texts.

Started by the pool as `python -m streams.prepare.worker SPEC`, where SPEC is the JSON form of a WorkerSpec.
"""

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

from headwater.errors import PoisonError
from headwater.generations.policy import ChunkPolicy
from streams.prepare import confinement
from streams.prepare.errors import LimitExceededError
from streams.prepare.frames import HEADER, Frame, Task, frame
from streams.prepare.limits import ParserLimits
from streams.prepare.parsed import ParsedText

MEMORY_FIELD_BYTES = 8
_PRELOADED = ("markdown", "html", "text", "pdf", "docx", "csv", "email", "code")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSpec:
    """All that a worker must know."""

    tokenizer_file: str
    policy: ChunkPolicy
    limits: ParserLimits

    def dump(self) -> str:
        """Return the command-line form."""
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> "WorkerSpec":
        """Read what `dump` wrote."""
        fields = json.loads(text)
        return cls(
            tokenizer_file=fields["tokenizer_file"],
            policy=ChunkPolicy(**fields["policy"]),
            limits=ParserLimits(**fields["limits"]),
        )


def main(spec: WorkerSpec) -> None:
    """Serve until the input ends, which it does when the stage does."""
    for ending in (signal.SIGINT, signal.SIGTERM):  # sent to the whole group: the stage still finishes its documents
        signal.signal(ending, signal.SIG_IGN)
    source, sink = _claim_pipes()
    confinement.leave_network()  # before the imports below start threads
    prepare_document = _preparer(spec)
    confinement.refuse_sockets_and_programs()
    confinement.limit_memory(spec.limits.memory_bytes)
    _send(sink, frame(Frame.READY, b""))
    _silence()
    while (hints := _read(source)) is not None and (content := _read(source)) is not None:
        confinement.limit_cpu_of_next_document(spec.limits.cpu_s)
        _send(sink, _answer(prepare_document, hints, content, spec.limits))


def _preparer(spec: WorkerSpec) -> Callable[[bytes, dict[str, Any]], bytes]:
    """Import what is slow to import, once, and return the work itself."""
    from streams.prepare.pages import join_ranges, load_range
    from streams.prepare.parsing import parse_document, read_pages
    from streams.prepare.prepared import dump_prepared, prepare
    from streams.prepare.tokens import load_counter

    for name in _PRELOADED:
        import_module(f"streams.prepare.parsers.{name}")
    count_tokens = load_counter(Path(spec.tokenizer_file))

    def parsed(content: bytes, hints: dict[str, Any]) -> ParsedText:
        if hints["task"] == Task.JOIN:
            return join_ranges([load_range(each) for each in content.split(b"\n")])
        return parse_document(
            content,
            declared=hints["declared"],
            name=hints["name"],
            max_pages=hints["max_pages"],
            heavy_pages=spec.limits.heavy_pages,
        )

    def prepare_document(content: bytes, hints: dict[str, Any]) -> bytes:
        if hints["task"] == Task.PAGES:
            pages = read_pages(
                content,
                first=hints["first"],
                count=hints["count"],
                declared=hints["declared"],
                name=hints["name"],
                max_pages=hints["max_pages"],
            )
            return b"" if pages is None else pages.dump()
        return dump_prepared(prepare(parsed(content, hints), spec.policy, count_tokens))

    return prepare_document


def _answer(
    work: Callable[[bytes, dict[str, Any]], bytes], hints: bytes, content: bytes, limits: ParserLimits
) -> bytes:
    fields = json.loads(hints)
    try:
        data = Path(fields["path"]).read_bytes() if fields["path"] else content
        body = work(data, fields)
    except PoisonError as error:
        return _failed(type(error).__name__, str(error))
    except MemoryError:
        reason = f"parsing needs more than the limit of {limits.memory_bytes} bytes of memory: split the document"
        return _failed(LimitExceededError.__name__, reason)
    except Exception as error:  # noqa: BLE001 - whatever a parser stumbles over, the stage must get an answer
        place = traceback.extract_tb(error.__traceback__)[-1]  # never the message: it may quote the document
        return _failed(type(error).__name__, f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}")
    return frame(Frame.PREPARED, confinement.resident_bytes().to_bytes(MEMORY_FIELD_BYTES, "big") + body)


def _failed(error: str, reason: str) -> bytes:
    return frame(Frame.FAILED, json.dumps({"error": error, "reason": reason}).encode())


def _claim_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Keep the pipes to the stage for ourselves: a library that prints must not break the conversation."""
    source, sink = os.dup(0), os.dup(1)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return os.fdopen(source, "rb"), os.fdopen(sink, "wb")


def _silence() -> None:
    """Once it has started, a worker says nothing but answers: warnings of parsers may quote documents."""
    with Path(os.devnull).open("wb") as nothing:
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)


def _read(source: BinaryIO) -> bytes | None:
    header = source.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    _, length = HEADER.unpack(header)
    body = source.read(length)
    return body if len(body) == length else None


def _send(sink: BinaryIO, data: bytes) -> None:
    sink.write(data)
    sink.flush()


if __name__ == "__main__":
    main(WorkerSpec.load(sys.argv[1]))
