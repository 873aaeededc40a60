"""A reader is a process that gets little, is listened to within limits, and does not outlive its reading."""

import asyncio
import json
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.airbyte.connector import AirbyteConnector
from connectors.airbyte.messages import Message, MessageError, Record
from connectors.airbyte.reader import Reader
from connectors.protocol import SourceChange
from headwater import event_loop
from headwater.errors import FatalError, HeadwaterError, RetryableError, UnauthorisedError
from headwater.settings import ReaderProgram
from headwater.sources.airbyte import AirbyteSettings
from schemas.ids import KnowledgeBaseId
from tests.support.airbyte import PROGRAM, TOKEN, reader
from tests.support.waiting import reached

SAY = 'say("RECORD", record={"stream": "pages", "data": %s, "emitted_at": 0}); sys.stdout.flush()\n'
COMPLAIN = "say('LOG', log={'level': 'ERROR', 'message': 'no route'})\n"
FAIL = "say('TRACE', trace={'type': 'ERROR', 'error': {'message': %s, 'failure_type': %s}})"


def scripted(script: str, **limits: Any) -> Reader:
    return reader({"script": script, "token": TOKEN}, PROGRAM.model_copy(update=limits))


async def said(of: Reader) -> list[Message | MessageError]:
    return [message async for message in of.read({"streams": []}, None)]


async def ended(of: Reader) -> HeadwaterError:
    with pytest.raises(HeadwaterError) as caught:
        await said(of)
    assert TOKEN not in str(caught.value)
    return caught.value


async def test_it_gets_its_configuration_and_nothing_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_SECRET__ACME__WIKI", "x")
    data = '{"token": config["token"], "environment": dict(os.environ), "files": given, "folder": os.getcwd()}'
    (record,) = await said(scripted(SAY % data, environment={"HTTPS_PROXY": "http://proxy"}))
    assert isinstance(record, Record)
    assert record.data["token"] == TOKEN
    environment = record.data["environment"]
    assert environment.keys() == {"PATH", "LANG", "HOME", "TMPDIR", "HTTPS_PROXY"}
    assert environment["HOME"] == environment["TMPDIR"] == record.data["folder"]
    assert not Path(environment["HOME"]).exists()
    assert all(path.startswith("/dev/fd/") for path in record.data["files"].values())


async def test_its_memory_is_bounded() -> None:
    # The limit is set from outside while it starts; without it this waits until its time is over.
    script = "import resource\nwhile resource.getrlimit(resource.RLIMIT_AS)[0] < 0: pass\n"
    script += "while resource.getrlimit(resource.RLIMIT_CORE) != (0, 0): pass\n"
    (record,) = await said(scripted(script + SAY % '{"bytes": resource.getrlimit(resource.RLIMIT_AS)}'))
    assert isinstance(record, Record)
    assert record.data["bytes"] == [PROGRAM.memory_bytes] * 2


async def test_it_is_killed_with_all_that_it_started() -> None:
    script = "child = os.posix_spawn('/bin/sleep', ['sleep', '600'], os.environ)\n"
    script += SAY % '{"pids": [os.getpid(), child]}' + "time.sleep(600)"
    async with aclosing(scripted(script).read({}, None)) as messages:
        record = await anext(messages)
        assert isinstance(record, Record)
        assert all(map(_lives, record.data["pids"]))
    pids = record.data["pids"]
    await reached(lambda: not any(map(_lives, pids)))


def test_a_sync_that_is_cancelled_leaves_none_behind() -> None:
    """On the loop that workers run on: cancelled while a change waits to be taken, and while the reader is silent."""
    script = SAY % '{"id": os.getpid(), "body": "text"}' + "time.sleep(600)"

    async def cancelled(*, taking: bool) -> None:
        settings = {"reader": "wiki", "streams": {"pages": {"id": "id", "text": "body"}}}
        stream = {"name": "pages", "supported_sync_modes": ["full_refresh"]}
        connector = AirbyteConnector(
            reader=scripted(script),
            settings=AirbyteSettings.model_validate(settings),
            knowledge_base=KnowledgeBaseId("wiki"),
            _catalog={"pages": stream},
        )
        pids: list[int] = []
        taken = asyncio.Event()

        async def follow() -> None:
            async for change in connector.changes({}):
                assert isinstance(change, SourceChange)
                pids.append(int(change.external_id.removeprefix("pages/")))
                taken.set()
                if not taking:
                    await asyncio.Event().wait()

        following = asyncio.create_task(follow())
        await taken.wait()
        assert _lives(pids[0])
        following.cancel()
        with pytest.raises(asyncio.CancelledError):
            await following
        del following
        await reached(lambda: not _lives(pids[0]))

    for taking in (True, False):
        event_loop.run(cancelled(taking=taking))


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize(
    ("script", "limits", "match"),
    [
        ("time.sleep(600)", {"silence_timeout_s": 0.2}, "said nothing for 0.2 s (silence_timeout_s)"),
        ("while True:\n print('tick', flush=True)", {"run_timeout_s": 0.3}, "ran for 0.3 s (run_timeout_s)"),
        ("while True:\n print('tick' * 1000, flush=True)", {"output_bytes": 200_000}, "more than 200000 bytes"),
        ("print('x' * 1_000)", {"output_bytes": 1_000}, "more than 1000 bytes"),
    ],
)
async def test_its_limits_end_it(script: str, limits: dict[str, float], match: str) -> None:
    error = await ended(scripted(script, **limits))
    assert isinstance(error, RetryableError)
    assert match in str(error)


async def test_a_line_above_the_limit_is_told_and_the_others_are_read() -> None:
    script = SAY % '{"id": 1}' + "print('{' * 200_000)\nprint('{' * 70_000, flush=True)\n" + SAY % '{"id": 2}'
    first, long, longer, second, last = await said(scripted(script + "sys.stdout.write('{' * 70_000)"))
    assert isinstance(first, Record)
    assert isinstance(second, Record)
    assert (first.data["id"], second.data["id"]) == (1, 2)
    assert all("more than 65536 bytes" in str(each) for each in (long, longer, last))


@pytest.mark.parametrize(
    ("script", "kind", "told"),
    [
        ("raise SystemExit(3)", RetryableError, "ended with status 3"),
        ("os.kill(os.getpid(), 9)", RetryableError, "ended by signal 9"),
        ("print('x ' + config['token'] + ' y', file=sys.stderr); raise SystemExit(1)", RetryableError, "x *** y"),
        ("print('x' * 9_000 + config['token'], file=sys.stderr); raise SystemExit(1)", RetryableError, "words: "),
        (
            "say('LOG', log={'level': 'ERROR', 'message': 'no route to t0p-secret%2Ftoken'}); raise SystemExit(1)",
            RetryableError,
            "no route to ***",
        ),
        (
            "for kind in ('transient_error', 'config_error', 'system_error'): " + FAIL % ("kind + token", "kind"),
            FatalError,
            "config_error***",
        ),
        (FAIL % ("'HTTP 403'", "'config_error'"), UnauthorisedError, "HTTP 403"),
        (FAIL % ("'14031 rows'", "'config_error'"), FatalError, "14031 rows"),
        (FAIL % ("'401, away\\nfor now'", "'transient_error'"), RetryableError, "401, away for now"),
        ("for text in ('first', 'then'): " + FAIL % ("text", "'config_error'"), FatalError, "first"),
        ("print('bye', file=sys.stderr)\n" + COMPLAIN + "raise SystemExit(1)", RetryableError, "words: no route"),
        (FAIL % ("'HTTP 403 ' * 99", "'system_error'"), RetryableError, "…"),
    ],
)
async def test_its_end_is_told_without_its_secrets(script: str, kind: type[HeadwaterError], told: str) -> None:
    error = await ended(scripted(script))
    assert type(error) is kind
    assert str(error).startswith("reader wiki: ")
    assert told in str(error)
    assert len(str(error)) < 600


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("config['token'] + 'x' * 4_085", ""),  # half a secret would be left of it
        ("'line\\n' * 2_000 + 'the reason'", "the reason"),
        ("'first\\nlast'", "last"),
    ],
)
async def test_its_last_words_are_its_last_line_if_that_is_whole(words: str, told: str) -> None:
    error = await ended(scripted(f"print({words}, file=sys.stderr); raise SystemExit(1)"))
    assert str(error).endswith(f"its last words: {told}")


async def test_no_spelling_and_no_part_of_a_secret_is_told() -> None:
    said = json.dumps({"long": "t0p-secret", "quoted": 'q"uote'})
    of = replace(scripted(FAIL % (repr(said), "'config_error'")), secrets=("t0p", "t0p-secret", 'q"uote'))
    assert str(await ended(of)) == 'reader wiki: {"long": "***", "quoted": "***"}'


async def test_only_messages_are_passed_on() -> None:
    failures = "for kind in ('config_error', 'system_error'): " + FAIL % ("kind", "kind")
    kinds: list[type] = []

    async def listen() -> None:
        async for message in scripted("print('starting')\n" + SAY % '{"id": 1}' + failures).read({}, None):
            kinds.insert(0, type(message))

    with pytest.raises(FatalError):
        await listen()
    assert kinds == [Record]


async def test_one_that_lives_on_after_its_last_word_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.airbyte.program.EXIT_WITHIN_S", 0.2)
    error = await ended(scripted("sys.stdout.flush(); os.close(1); time.sleep(600)"))
    assert isinstance(error, RetryableError)
    assert "did not end within 0.2 s" in str(error)


async def test_its_own_check_is_believed() -> None:
    refused = "say('CONNECTION_STATUS', connectionStatus={'status': 'FAILED', 'message': 'bad ' + config['token']})"
    with pytest.raises(FatalError, match=r"reader wiki: bad \*\*\*"):
        await scripted(refused).check()
    with pytest.raises(RetryableError, match="did not say"):
        await scripted("pass").check()
    with pytest.raises(RetryableError, match="no streams"):
        await scripted("pass").catalog()


async def test_what_cannot_be_started_is_named() -> None:
    with pytest.raises(FatalError, match="HEADWATER_CONNECTORS__READERS"):
        await reader({}, ReaderProgram(command=("/nowhere/reader",))).check()
