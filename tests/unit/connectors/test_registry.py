"""Connectors of directory sources: settings and secrets are refused by name, and no tenant reaches beyond its own."""

from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.filesystem.connector import FilesystemConnector
from connectors.github.connector import GithubConnector
from connectors.objects.connector import ObjectsConnector
from connectors.passes import MOST_LOOKS, passes_of
from connectors.protocol import Cursor, SourceChange
from connectors.registry import connect
from connectors.secrets import secret_of
from connectors.work import Work
from headwater.clients.egress.client import Egress, open_egress
from headwater.errors import FatalError, UnauthorisedError
from headwater.settings import ConnectorSettings, EgressSettings
from schemas.events.directory import Source
from schemas.ids import KnowledgeBaseId, SourceId, TenantId
from tests.support.running import Forgetful

ACME = TenantId("acme")
SOURCE = (ACME, SourceId("papers"))


@pytest.fixture
async def egress() -> AsyncIterator[Egress]:
    async with open_egress(EgressSettings()) as opened:
        yield opened


def bucket(*, secrets: dict[str, str] | None = None, **settings: str) -> Source:
    return Source(
        name="Bucket",
        kind="objects",
        knowledge_base=KnowledgeBaseId("papers"),
        settings=settings,
        secrets=secrets or {},
    )


def files(**settings: str) -> Source:
    return Source(name="Files", kind="filesystem", knowledge_base=KnowledgeBaseId("handbook"), settings=settings)


def test_a_folder_of_the_directory_lies_below_an_allowed_one(tmp_path: Path, egress: Egress) -> None:
    inside, outside = tmp_path / "allowed/handbook", tmp_path / "other"
    inside.mkdir(parents=True)
    outside.mkdir()
    limits = ConnectorSettings(filesystem_roots=(tmp_path / "allowed",))
    connected = connect(SOURCE, files(root=str(inside), watch="true"), limits, egress)
    assert isinstance(connected.connector, FilesystemConnector)
    assert (connected.connector.root, connected.live) == (inside, connected.connector)
    assert connect(SOURCE, files(root=str(inside)), limits, egress).live is None

    (inside / "way-out").symlink_to(outside)
    for root in (outside, inside / "../../other", inside / "way-out", Path("handbook")):
        with pytest.raises(FatalError, match=r"settings\.root"):
            connect(SOURCE, files(root=str(root)), limits, egress)
    with pytest.raises(FatalError, match=r"settings\.root"):
        connect(SOURCE, files(root=str(inside)), ConnectorSettings(), egress)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({}, r"settings\.root"),
        ({"root": "/a", "depth": "3"}, r"settings\.depth"),
        ({"root": "/a", "watch": "x"}, "watch"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, str], named: str, egress: Egress) -> None:
    with pytest.raises(FatalError, match=named):
        connect(SOURCE, files(**settings), ConnectorSettings(filesystem_roots=(Path("/"),)), egress)


def test_a_kind_without_a_connector_is_named(egress: Egress) -> None:
    source = Source(name="Wiki", kind="gopher", knowledge_base=KnowledgeBaseId("handbook"))
    with pytest.raises(FatalError, match=r"'gopher'.*filesystem"):
        connect(SOURCE, source, ConnectorSettings(), egress)


def test_a_bucket_is_made_of_text_and_secrets(egress: Egress, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_SECRET__ACME__KEY", "AKIA")
    monkeypatch.setenv("HEADWATER_SECRET__ACME__SECRET", "hidden")
    keys = {"access_key_id": "env:key", "secret_access_key": "env:secret"}
    source = bucket(
        url="s3://papers/a/", region="eu-central-1", include='["**/*.md"]', access="{readers: [everyone]}", secrets=keys
    )
    connector = connect(SOURCE, source, ConnectorSettings(), egress).connector
    assert isinstance(connector, ObjectsConnector)
    assert (connector.settings.include, connector.settings.prefix) == (("**/*.md",), "a/")
    assert connector.settings.access is not None
    assert connector.settings.access.readers == ("everyone",)
    assert "hidden" not in repr(connector)


@pytest.mark.parametrize(
    ("source", "named"),
    [
        (bucket(), r"settings\.url"),
        (bucket(url="file:/etc"), r"settings\.url"),
        (bucket(url="s3://b", regoin="x"), r"settings\.regoin"),
        (bucket(url="gs://b", endpoint="http://169.254.169.254"), r"settings\.endpoint"),
        (bucket(url="gs://b"), r"secrets: service_account_key is missing"),
        (bucket(url="gs://b", skip_signature="false"), r"secrets: service_account_key is missing"),
        (bucket(url="az://b", account_name="acct"), r"secrets: account_key or sas_key is missing"),
        (bucket(url="az://b", skip_signature="true"), r"settings\.account_name"),
        (bucket(url="az://b", skip_signature="true", account_name="127.0.0.1:9/x?"), r"settings\.account_name"),
        (bucket(url="az://b", skip_signature="true", account_name="x@localhost/"), r"settings\.account_name"),
        (bucket(url="s3://b", region="eu", include="["), r"settings\.include"),
        (bucket(url="s3://b", region="eu", max_bytes="0"), r"settings\.max_bytes"),
        (bucket(url="s3://b", region="eu", secrets={"pass": "env:x"}), r"secrets: the variable"),
    ],
)
def test_a_wrong_setting_of_a_bucket_is_named(source: Source, named: str, egress: Egress) -> None:
    with pytest.raises(FatalError, match=named):
        connect(SOURCE, source, ConnectorSettings(), egress)


@pytest.mark.parametrize(
    ("key", "named"),
    [
        ('{"gcs_base_url": "https://10.0.0.1"}', "names gcs_base_url"),
        ('{"disable_oauth": true}', "names disable_oauth"),
        ("[]", "not the JSON"),
        ("-----BEGIN", "not the JSON"),
    ],
)
def test_a_key_of_google_leads_to_google(egress: Egress, monkeypatch: pytest.MonkeyPatch, key: str, named: str) -> None:
    """What a key names is called by obstore, which asks no guard."""
    monkeypatch.setenv("HEADWATER_SECRET__ACME__KEY", key)
    source = bucket(url="gs://b", secrets={"service_account_key": "env:key"})
    with pytest.raises(FatalError, match=named):
        connect(SOURCE, source, ConnectorSettings(), egress)


def github(**settings: str) -> Source:
    knowledge_base = KnowledgeBaseId("code")
    return Source(
        name="Code", kind="github", knowledge_base=knowledge_base, settings=settings, secrets={"token": "env:hub"}
    )


def test_github_is_made_of_text_and_a_token(egress: Egress, monkeypatch: pytest.MonkeyPatch) -> None:
    source = github(repositories="[acme/code, acme/docs]", users="{octocat: ann}", url="https://hub.test/api/v3")
    with pytest.raises(UnauthorisedError, match="HEADWATER_SECRET__ACME__HUB"):
        connect(SOURCE, source, ConnectorSettings(), egress)
    monkeypatch.setenv("HEADWATER_SECRET__ACME__HUB", "hidden")
    connector = connect(SOURCE, source, ConnectorSettings(), egress).connector
    assert isinstance(connector, GithubConnector)
    assert (connector.settings.repositories, connector.source) == (("acme/code", "acme/docs"), "papers")
    assert connector.settings.home == "https://hub.test/api/v3/"
    assert "hidden" not in repr(connector)


def test_github_is_made_of_an_app_and_its_key(egress: Egress, monkeypatch: pytest.MonkeyPatch) -> None:
    source = github(app="77", installation="42")
    with pytest.raises(FatalError, match=r"secrets\.private_key: missing"):
        connect(SOURCE, source, ConnectorSettings(), egress)
    monkeypatch.setenv("HEADWATER_SECRET__ACME__KEY", "hidden")
    connected = connect(SOURCE, replace(source, secrets={"private_key": "env:key"}), ConnectorSettings(), egress)
    assert isinstance(connected.connector, GithubConnector)
    assert connected.connector.settings.of_installation
    assert connected.connector.installation is not None
    assert "hidden" not in repr(connected)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({}, "either `organisation` or `repositories`"),
        ({"app": "77", "organisation": "acme"}, "`app` and `installation` together"),
        ({"organisation": "acme", "repositories": "[acme/code]"}, "either `organisation` or `repositories`"),
        ({"repositories": "[code]"}, "owner/name"),
        ({"organisation": "acme", "public": "all"}, r"settings\.public"),
        ({"organisation": "acme", "branch": "main"}, r"settings\.branch"),
        ({"organisation": "acme", "max_bytes": "0"}, r"settings\.max_bytes"),
    ],
)
def test_a_wrong_setting_of_github_is_named(settings: dict[str, str], named: str, egress: Egress) -> None:
    with pytest.raises(FatalError, match=named):
        connect(SOURCE, github(**settings), ConnectorSettings(), egress)


async def test_a_bucket_inside_is_not_called_unless_it_is_allowed(egress: Egress) -> None:
    source = bucket(url="s3://papers", endpoint="http://127.0.0.1:9", allow_http="true", skip_signature="true")
    with pytest.raises(FatalError, match=r"loopback.*allowed_hosts"):
        await connect(SOURCE, source, ConnectorSettings(), egress).connector.check()


def test_a_secret_is_found_where_its_tenant_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_SECRET__ACME_EU__WIKI_TOKEN", "from-env")
    (tmp_path / "acme-eu").mkdir()
    (tmp_path / "acme-eu/wiki-token").write_text("from-file\n")
    tenant = TenantId("acme-eu")
    assert secret_of("env:wiki-token", tenant=tenant, folder=tmp_path).get_secret_value() == "from-env"
    assert secret_of("file:wiki-token", tenant=tenant, folder=tmp_path).get_secret_value() == "from-file"
    for reference in ("env:wiki-token", "file:wiki-token"):
        with pytest.raises(UnauthorisedError, match="missing or empty"):
            secret_of(reference, tenant=TenantId("acme"), folder=tmp_path)


@pytest.mark.parametrize(
    "reference", ["wiki", "env:", "file:../globex/token", "file:/etc/passwd", "env:EU__TOKEN", "vault:x", "file:.x"]
)
def test_a_reference_leads_nowhere_else(reference: str, tmp_path: Path) -> None:
    with pytest.raises(FatalError, match="a reference is"):
        secret_of(reference, tenant=ACME, folder=tmp_path)


class Plain(Forgetful):
    """A connector that can do no more than it must."""

    async def check(self) -> None:
        """Nothing to check."""

    async def changes(self, since: Cursor) -> AsyncIterator[SourceChange]:
        for _ in ():
            yield _


class Able(Plain):
    """A connector that can do everything."""

    async def everything(self, since: Cursor) -> AsyncIterator[SourceChange]:
        for _ in ():
            yield _

    async def permissions(self, since: Cursor) -> AsyncIterator[SourceChange]:
        for _ in ():
            yield _

    async def items(self, external_ids: Collection[str], since: Cursor) -> AsyncIterator[SourceChange]:
        for _ in ():
            yield _


@pytest.mark.parametrize(
    ("work", "plain", "able"),
    [
        (Work(full=True), ["changes"], ["everything"]),
        (Work(changes=True), ["changes"], ["changes"]),
        (Work(items=frozenset("a")), ["changes"], ["items"]),
        (Work(permissions=True), ["changes"], ["permissions"]),
        (Work(permissions=True, items=frozenset("a")), ["changes"], ["permissions", "items"]),
        (Work(changes=True, permissions=True), ["changes"], ["changes", "permissions"]),
        (Work(changes=True, items=frozenset("a")), ["changes"], ["changes", "items"]),
    ],
)
def test_what_a_connector_cannot_do_alone_is_part_of_a_wider_reading(
    work: Work, plain: list[str], able: list[str]
) -> None:
    for connector, names in ((Plain(), plain), (Able(), able)):
        found = [getattr(each.of, "func", each.of).__name__ for each in passes_of(connector, work)]
        assert found == names


@pytest.mark.parametrize(
    "work",
    [
        Work(changes=True, items=frozenset("a")),
        Work(items=frozenset(f"{n}" for n in range(MOST_LOOKS + 1))),
        Work(full=True),
    ],
)
def test_a_listing_that_is_compared_sees_the_named_items_too(tmp_path: Path, work: Work) -> None:
    connector = FilesystemConnector(root=tmp_path, knowledge_base=KnowledgeBaseId("handbook"))
    assert [each.of for each in passes_of(connector, work)] == [connector.changes]


def test_items_of_a_source_that_tells_its_changes_are_looked_at_however_many() -> None:
    work = Work(changes=True, items=frozenset(f"{n}" for n in range(MOST_LOOKS + 1)))
    changes, items = passes_of(Able(), work)
    assert (changes.of.__name__, items.of.func.__name__) == ("changes", "items")  # type: ignore[attr-defined]


async def test_one_item_of_a_folder_is_looked_at_alone(tmp_path: Path) -> None:
    (tmp_path / "root/sub").mkdir(parents=True)
    (tmp_path / "secret.md").write_text("outside")
    for name in ("a.md", "b.md", "sub/c.md"):
        (tmp_path / "root" / name).write_text(name)
    (tmp_path / "root/way-out").symlink_to(tmp_path)
    connector = FilesystemConnector(root=tmp_path / "root", knowledge_base=KnowledgeBaseId("handbook"))
    wanted = ["sub/c.md", "gone.md", "../secret.md", "way-out/secret.md", ""]
    found = [change async for change in connector.items(wanted, {"gone.md": b"[]", "b.md": b"[]"})]
    assert sorted(change.external_id for change in found if isinstance(change, SourceChange)) == ["gone.md", "sub/c.md"]
    assert len(found) == 2
