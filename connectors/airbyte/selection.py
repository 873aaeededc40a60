"""Which streams are read, and how: the configured catalog of the protocol. Pure."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from connectors.airbyte.messages import Catalog
from headwater.errors import FatalError
from headwater.sources.airbyte import AirbyteSettings


def chosen(catalog: Catalog, settings: AirbyteSettings) -> Mapping[str, Mapping[str, Any]]:
    """Return the streams that the settings name, as the reader described them. Raise FatalError naming the field."""
    names = Counter(str(each.get("name")) for each in catalog.streams)
    for name, stream in settings.streams.items():
        if names[name] != 1:
            there = ", ".join(sorted(names))
            what = "the reader has no such stream" if not names[name] else "more than one namespace has it"
            raise FatalError(f"settings.streams.{name}: {what}; there are {there}")
        described = next(each for each in catalog.streams if each.get("name") == name)
        if stream.mode == "incremental" and "incremental" not in described.get("supported_sync_modes", ()):
            raise FatalError(f"settings.streams.{name}.mode: the reader lists it whole only; set `full`")
    return {name: each for each in catalog.streams if (name := str(each.get("name"))) in settings.streams}


def configured(
    streams: Mapping[str, Mapping[str, Any]], settings: AirbyteSettings, *, full: frozenset[str]
) -> Mapping[str, Any]:
    """Return what the reader is asked for; of the streams in `full` everything."""
    return {
        "streams": [
            {
                "stream": stream,
                "sync_mode": "full_refresh" if name in full else "incremental",
                "destination_sync_mode": "append",  # required, and of no concern to a source
                "cursor_field": own.split(".")
                if (own := settings.streams[name].cursor)
                else stream.get("default_cursor_field", []),
                "primary_key": stream.get("source_defined_primary_key", []),
            }
            for name, stream in streams.items()
        ]
    }
