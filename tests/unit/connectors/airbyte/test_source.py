"""A source of the directory names a reader of this host, its streams and its secrets; what is wrong is named."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.airbyte.connector import AirbyteConnector
from connectors.protocol import FullConnector, PermissionsConnector
from connectors.registry import connect
from headwater.clients.egress.client import Egress, open_egress
from headwater.errors import FatalError, UnauthorisedError
from headwater.settings import ConnectorSettings, EgressSettings, Settings
from schemas.events.directory import Source
from schemas.ids import KnowledgeBaseId, SourceId, TenantId
from tests.support.airbyte import PROGRAM, TOKEN, ReaderSource

KEY = TenantId("acme"), SourceId("wiki")
LIMITS = ConnectorSettings(readers={"wiki": PROGRAM, "notion": PROGRAM})
WIKI = Source(
    name="Wiki",
    kind="airbyte",
    knowledge_base=KnowledgeBaseId("wiki"),
    settings={
        "reader": "wiki",
        "config": "{world: /nowhere, credentials: {kind: token}}",
        "streams": "{pages: {id: id, text: [name, body], mode: incremental}}",
        "access": "{readers: [everyone], prefixes: {pages/hr: {readers: ['group:hr:staff']}}}",
    },
    secrets={"credentials.token": "env:wiki", "webhook": "env:missing"},
)


@pytest.fixture
async def egress(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Egress]:
    monkeypatch.setenv("HEADWATER_SECRET__ACME__WIKI", TOKEN)
    async with open_egress(EgressSettings()) as opened:
        yield opened


def connected(egress: Egress, limits: ConnectorSettings = LIMITS, **changed: str) -> AirbyteConnector:
    source = replace(WIKI, settings={**WIKI.settings, **changed})
    found = connect(KEY, source, limits, egress).connector
    assert isinstance(found, AirbyteConnector)
    return found


def test_it_is_put_together(egress: Egress) -> None:
    found = connected(egress)
    assert found.reader.program == PROGRAM
    assert found.reader.config == {"world": "/nowhere", "credentials": {"kind": "token", "token": TOKEN}}
    assert found.settings.streams["pages"].text == ("name", "body")
    assert isinstance(found, FullConnector)
    assert isinstance(found, PermissionsConnector)


def test_the_host_says_which_programs_there_are(egress: Egress, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FatalError, match=r"'/bin/sh' is no reader of this host \(notion, wiki\)"):
        connected(egress, reader="/bin/sh")
    with pytest.raises(FatalError, match=r"\(none\); HEADWATER_CONNECTORS__READERS"):
        connected(egress, ConnectorSettings())
    with pytest.raises(FatalError, match=r"settings\.command: not a setting of kind airbyte"):
        connected(egress, command="/bin/sh")
    monkeypatch.setenv("HEADWATER_CONNECTORS__READERS", '{"wiki": {"command": ["/opt/wiki/reader"]}}')
    assert Settings().connectors.readers["wiki"].command == ("/opt/wiki/reader",)


def test_what_the_host_says_no_source_says_otherwise(egress: Egress) -> None:
    program = PROGRAM.model_copy(update={"config": {"url": "https://wiki.example", "credentials": {"kind": "token"}}})
    limits = ConnectorSettings(readers={"wiki": program})
    found = connected(egress, limits, config="{space: HR}")
    assert found.reader.config == {
        "space": "HR",
        "url": "https://wiki.example",
        "credentials": {"kind": "token", "token": TOKEN},
    }
    assert program.config["credentials"] == {"kind": "token"}
    with pytest.raises(FatalError, match=r"settings\.config\.url: is said by the connector worker's host"):
        connected(egress, limits, config="{url: 'http://169.254.169.254'}")


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"streams": "{}"}, r"settings\.streams"),
        ({"streams": "{pages: {id: id}}"}, r"settings\.streams\.pages\.text"),
        ({"streams": "{pages: {id: [], text: a}}"}, r"settings\.streams\.pages\.id"),
        ({"streams": "{pages: {id: a, text: a..b}}"}, r"settings\.streams\.pages\.text"),
        ({"streams": "{pages: {id: a, text: a, mode: live}}"}, r"settings\.streams\.pages\.mode"),
        ({"streams": "[pages"}, r"settings\.streams: .*not YAML"),
        ({"access": "{reader: [ann]}"}, r"settings\.access\.reader"),
        ({"config": "{credentials: {token: plain}}"}, r"secrets\.credentials\.token: settings\.config says"),
        ({"config": "{credentials: plain}"}, r"secrets\.credentials\.token: settings\.config says"),
    ],
)
def test_what_is_wrong_is_named(egress: Egress, changed: dict[str, str], match: str) -> None:
    with pytest.raises(FatalError, match=match):
        connected(egress, LIMITS, **changed)


def test_a_secret_below_a_text_is_named(egress: Egress) -> None:
    source = replace(WIKI, secrets={"world.of.token": "env:wiki"})
    with pytest.raises(FatalError, match=r"secrets\.world\.of\.token: settings\.config says"):
        connect(KEY, source, LIMITS, egress)


async def test_the_check_is_the_readers_and_looks_for_the_streams(
    tmp_path: Path, egress: Egress, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = str(ReaderSource(tmp_path).write())
    config = f"{{world: {world}}}"
    await connected(egress, config=config).check()
    with pytest.raises(FatalError, match=r"settings\.streams\.page: the reader has no such stream; .* others, pages"):
        await connected(egress, config=config, streams="{page: {id: id, text: body}}").check()
    with pytest.raises(FatalError, match=r"settings\.streams\.others\.mode: .* whole only"):
        await connected(egress, config=config, streams="{others: {id: id, text: a, mode: incremental}}").check()
    monkeypatch.setenv("HEADWATER_SECRET__ACME__WIKI", "t0p-other")
    with pytest.raises(UnauthorisedError, match=r"401\. \*\*\* is not known"):
        await connected(egress, config=config).check()
