"""What a kind of source sends: how it is signed, what names a delivery, and what it says is worth a look."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from connectors.confluence import webhooks as confluence
from connectors.github import webhooks as github
from connectors.objects.notifications import keys_to_look_at
from connectors.webhooks.signatures import Headers, Scheme
from connectors.work import CHANGES, Work
from headwater.sources.objects import ObjectsSettings
from schemas.events.directory import Source

# Raises PoisonError naming the field. Work of nothing: the delivery asks for nothing (a ping).
WorkOf: TypeAlias = Callable[[Source, Headers, bytes], Work]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One line of the table."""

    scheme: Scheme
    work: WorkOf
    delivery: str  # header that names a delivery; a repetition has the same


def _incremental(source: Source, headers: Headers, body: bytes) -> Work:
    """Ask for what changed: all that can be said where nobody reads the payload."""
    del source, headers, body
    return CHANGES


def _objects(source: Source, headers: Headers, body: bytes) -> Work:
    del headers
    of = ObjectsSettings(url=source.settings.get("url", ""))
    try:
        bucket = of.bucket
    except ValueError:  # no URL at all: its syncs say so, and no event is about it
        return Work()
    keys = keys_to_look_at(body, bucket=bucket)
    return Work() | Work(items=frozenset(key for key in keys if key.startswith(of.prefix)))


def _github(source: Source, headers: Headers, body: bytes) -> Work:
    del source
    return github.work_of_delivery(headers, body)


def _confluence(source: Source, headers: Headers, body: bytes) -> Work:
    del source
    return confluence.work_of_delivery(headers, body)


OTHER: Final = Kind(scheme=Scheme.HEADWATER, work=_incremental, delivery="headwater-delivery")
KINDS: Final[Mapping[str, Kind]] = {
    "objects": Kind(scheme=Scheme.HEADWATER, work=_objects, delivery="headwater-delivery"),
    "github": Kind(scheme=Scheme.GITHUB, work=_github, delivery="x-github-delivery"),
    "confluence": Kind(scheme=Scheme.ATLASSIAN, work=_confluence, delivery="x-atlassian-webhook-identifier"),
}


def kind_of(source: Source) -> Kind:
    """Return a source's line; a kind that is not in the table asks for an incremental pass."""
    return KINDS.get(source.kind, OTHER)
