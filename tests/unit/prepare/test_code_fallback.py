"""What ends a parser process as code is asked for again as plain text: nobody's file is parked for its syntax tree."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from headwater.generations.policy import ChunkPolicy
from streams.prepare.errors import EmptyDocumentError, LimitExceededError
from streams.prepare.frames import Task
from streams.prepare.limits import ParserLimits
from streams.prepare.parsing import parse_document
from streams.prepare.pool import ParserPool
from streams.prepare.prepared import dump_prepared, prepare
from streams.prepare.worker import WorkerSpec
from tests.unit.prepare.texts import count_words

CODE = b"def one():\n    return 1\n"


class ScriptedPool(ParserPool):
    """A pool without processes, in which everything but what is asked for as plain text ends with `error`."""

    def __init__(self, error: Exception) -> None:
        super().__init__(WorkerSpec(tokenizer_file="", policy=ChunkPolicy(), limits=ParserLimits()), processes=0)
        self.error = error
        self.asked: list[tuple[str | None, str | None]] = []

    async def _answer(self, content: bytes | Path, hints: Mapping[str, Any]) -> bytes:
        assert isinstance(content, bytes)
        assert hints["task"] is Task.PREPARE
        self.asked.append((hints["declared"], hints["name"]))
        if (hints["declared"], hints["name"]) != ("text/plain", None):
            raise self.error
        parsed = parse_document(content, declared=hints["declared"], name=hints["name"])
        return dump_prepared(prepare(parsed, ChunkPolicy(), count_words))


@pytest.mark.parametrize(("declared", "name"), [(None, "repo:7/file/one.py"), ("text/x-python", None)])
async def test_code_that_costs_too_much_is_plain_text(declared: str | None, name: str | None) -> None:
    pool = ScriptedPool(LimitExceededError("the document ended two parser processes"))
    found = await pool.prepare(CODE, declared=declared, name=name)
    assert pool.asked == [(declared, name), ("text/plain", None)]
    assert (found.media_type, found.text) == ("text/plain", CODE.decode())


async def test_other_files_that_cost_too_much_are_parked_at_once() -> None:
    pool = ScriptedPool(LimitExceededError("parsing takes longer than 5 s"))
    with pytest.raises(LimitExceededError, match="5 s"):
        await pool.prepare(CODE, name="one.md")
    assert pool.asked == [(None, "one.md")]


async def test_other_errors_of_code_are_its_end() -> None:
    pool = ScriptedPool(EmptyDocumentError("the file is empty"))
    with pytest.raises(EmptyDocumentError):
        await pool.prepare(CODE, name="one.py")
    assert pool.asked == [(None, "one.py")]
