"""Which connector reads a source of the directory: one line a kind."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from pydantic import BaseModel, SecretStr

from connectors.airbyte.source import airbyte_of
from connectors.confluence.source import confluence_of
from connectors.filesystem.connector import FilesystemConnector
from connectors.github.source import github_connector
from connectors.objects.client import objects_of
from connectors.objects.connector import ObjectsConnector
from connectors.objects.source import source_settings
from connectors.protocol import Connector, LiveConnector
from connectors.secrets import WEBHOOK_SECRETS, secret_of
from headwater.clients.egress.client import Egress
from headwater.errors import FatalError
from headwater.settings import ConnectorSettings
from headwater.sources.airbyte import AirbyteSettings
from headwater.sources.base import BudgetSettings
from headwater.sources.confluence import ConfluenceSettings
from headwater.sources.filesystem import FilesystemSettings
from headwater.sources.github import GithubSettings
from headwater.sources.judging import typed
from schemas.events.directory import Source
from schemas.ids import SourceId, TenantId

S = TypeVar("S", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A source as a connector is built from it. `secret` resolves a name of the source's `secrets`."""

    source_id: SourceId  # groups of the source are `group:SOURCE_ID:...`
    source: Source
    limits: ConnectorSettings
    secret: Callable[[str], SecretStr]
    egress: Egress

    def settings(self, model: type[S]) -> S:
        """Return the source's settings in their types. Raise SettingError that names the wrong field."""
        return typed(model, self.source.settings, of=f"kind {self.source.kind}")

    def within(self, settings: BudgetSettings) -> Egress:
        """Return the way out of this source, which all its calls take: within the budget of its settings."""
        return self.egress.of_source(requests_per_s=settings.requests_per_s, concurrency=settings.concurrency)


def _never() -> datetime | None:
    """Of a source that no limits are known of."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """A source's connector; `live` where the source wants to be followed, and can be.

    `waits_until` returns until when the source asks to send nothing, None where it does not.
    """

    connector: Connector
    live: LiveConnector | None = None
    waits_until: Callable[[], datetime | None] = _never


def _filesystem(of: Description) -> Connected:
    settings = of.settings(FilesystemSettings).below(of.limits.filesystem_roots)
    connector = FilesystemConnector(root=settings.root, knowledge_base=of.source.knowledge_base)
    return Connected(connector=connector, live=connector if settings.watch else None)


def _objects(of: Description) -> Connected:
    secrets = {name: of.secret(name) for name in of.source.secrets if name not in WEBHOOK_SECRETS}
    settings = source_settings(of.source.settings, secrets)
    egress = of.egress.of_bucket(requests_per_s=settings.requests_per_s, concurrency=settings.concurrency)
    connector = ObjectsConnector(
        objects=objects_of(settings, egress), settings=settings, knowledge_base=of.source.knowledge_base
    )
    return Connected(connector=connector, waits_until=egress.waits_until)


def _github(of: Description) -> Connected:
    settings = of.settings(GithubSettings)
    egress = of.within(settings)
    connector = github_connector(
        settings, egress=egress, secret=of.secret, source=of.source_id, knowledge_base=of.source.knowledge_base
    )
    return Connected(connector=connector, waits_until=egress.waits_until)


def _confluence(of: Description) -> Connected:
    settings = of.settings(ConfluenceSettings)
    egress = of.within(settings)
    connector = confluence_of(
        settings,
        source=of.source_id,
        knowledge_base=of.source.knowledge_base,
        secret=of.secret,
        egress=egress,
    )
    return Connected(connector=connector, waits_until=egress.waits_until)


def _airbyte(of: Description) -> Connected:
    connector = airbyte_of(
        of.settings(AirbyteSettings),
        secrets={name: of.secret(name) for name in of.source.secrets if name not in WEBHOOK_SECRETS},
        readers=of.limits.readers,
        knowledge_base=of.source.knowledge_base,
    )
    return Connected(connector=connector)


KINDS: Final[Mapping[str, Callable[[Description], Connected]]] = {
    "airbyte": _airbyte,
    "confluence": _confluence,
    "filesystem": _filesystem,
    "github": _github,
    "objects": _objects,
}


def connect(key: tuple[TenantId, SourceId], source: Source, limits: ConnectorSettings, egress: Egress) -> Connected:
    """Return the connector of a source's kind. Raise FatalError that names what to correct."""
    build = KINDS.get(source.kind)
    if build is None:
        raise FatalError(f"kind {source.kind!r}: no connector reads it; there are {', '.join(sorted(KINDS))}")

    def secret(name: str) -> SecretStr:
        reference = source.secrets.get(name)
        if reference is None:
            raise FatalError(f"secrets.{name}: missing; set it to where the credential is (`env:NAME`, `file:NAME`)")
        return secret_of(reference, tenant=key[0], folder=limits.secrets_folder)

    return build(Description(source_id=key[1], source=source, limits=limits, secret=secret, egress=egress))
