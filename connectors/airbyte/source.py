"""A source of the directory, its reader on this host, and the reader's secrets, put together."""

import copy
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from connectors.airbyte.connector import AirbyteConnector
from connectors.airbyte.reader import Reader
from headwater.errors import FatalError
from headwater.settings import ReaderProgram
from headwater.sources.airbyte import AirbyteSettings
from schemas.ids import KnowledgeBaseId


def airbyte_of(
    settings: AirbyteSettings,
    *,
    secrets: Mapping[str, SecretStr],
    readers: Mapping[str, ReaderProgram],
    knowledge_base: KnowledgeBaseId,
) -> AirbyteConnector:
    """Return the connector. Raise FatalError naming what to correct.

    `secrets` are fields of the reader's configuration, by their paths (`credentials.token`).
    """
    program = readers.get(settings.reader)
    if program is None:
        raise FatalError(
            f"settings.reader: {settings.reader!r} is no reader of this host ({', '.join(sorted(readers)) or 'none'}); "
            "HEADWATER_CONNECTORS__READERS names them where the connector worker runs"
        )
    for name in settings.config.keys() & program.config.keys():
        raise FatalError(f"settings.config.{name}: is said by the connector worker's host; take it out")
    values = {path: secret.get_secret_value() for path, secret in secrets.items()}
    reader = Reader(
        name=settings.reader,
        program=program,
        config=_with_secrets({**settings.config, **program.config}, values),
        secrets=tuple(values.values()),
    )
    return AirbyteConnector(reader=reader, settings=settings, knowledge_base=knowledge_base)


def _with_secrets(config: Mapping[str, Any], values: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the configuration with its secrets. Raise FatalError where one stands in the way of another."""
    whole = copy.deepcopy(dict(config))
    for path, value in values.items():
        *tables, name = path.split(".")
        place = whole
        for table in tables:
            place = place.setdefault(table, {})
            if not isinstance(place, dict):
                break
        if not isinstance(place, dict) or name in place:
            raise FatalError(f"secrets.{path}: settings.config says this field too, or one above it; take it out there")
        place[name] = value
    return whole
