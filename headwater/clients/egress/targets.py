"""Where a request goes, and where a redirect may take it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import httpx

from headwater.clients.egress.addresses import is_disguised
from headwater.clients.egress.errors import DestinationRefusedError

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
DEFAULT_PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443}
# All that another origin gets to see: nothing that a connector added may be worth stealing.
HARMLESS_HEADERS: Final = frozenset(
    {"accept", "accept-encoding", "accept-language", "if-modified-since", "if-none-match", "range", "user-agent"}
)
# Given by the client itself, or by a credential: a value in a connector's hands would end up in its logs.
OWN_HEADERS: Final = frozenset(
    {
        "accept-encoding",
        "authorization",
        "connection",
        "content-length",
        "cookie",
        "host",
        "proxy-authorization",
        "transfer-encoding",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Scheme, host and port: what credentials and connections belong to (RFC 6454)."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + (f":{self.port}" if self.port != DEFAULT_PORTS[self.scheme] else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One request on the wire. `trusted`: it has only been to the source's own origin, so that credentials go along."""

    method: str
    url: httpx.URL
    headers: Mapping[str, str]
    content: bytes | None
    trusted: bool
    target: bytes | None = None  # the request line's, where the URL would be tidied: keys of S3 may hold `//` and `..`

    @property
    def origin(self) -> Origin:
        return origin_of(self.url)


def origin_of(url: httpx.URL) -> Origin:
    """Return the origin of a URL that `checked_url` let pass."""
    host = url.raw_host.decode("ascii").rstrip(".").lower()
    return Origin(scheme=url.scheme, host=host, port=url.port or DEFAULT_PORTS[url.scheme])


def checked_url(text: str, *, base: httpx.URL | None = None) -> httpx.URL:
    """Parse a URL, relative to `base` if there is one. Raises DestinationRefusedError for what is never called.

    That is: another scheme than http and https, no host, credentials in the URL, a host that is a number in disguise.
    """
    try:
        url = httpx.URL(text) if base is None else base.join(text)
        host = url.raw_host.decode("ascii")
    except (httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise DestinationRefusedError("a link is no URL; correct it at the source") from error
    if url.scheme not in DEFAULT_PORTS or not host:
        raise DestinationRefusedError("a link is no http or https URL with a host; only those are called")
    if url.userinfo:
        raise DestinationRefusedError(
            f"a URL of {host} has credentials in it; give the source a secret reference instead"
        )
    if is_disguised(host):
        raise DestinationRefusedError(f"{host} is a number in disguise; write the host as a name or a plain address")
    return url.copy_with(fragment=None)


def redirected(hop: Hop, *, status: int, location: str) -> Hop:
    """Return the request that a redirect asks for.

    The method becomes GET where RFC 9110 (15.4) has it so. Towards another origin only HARMLESS_HEADERS go along, and
    trust is gone for good. Raises DestinationRefusedError where it leads from https to http, would hand a body to
    another origin, or is no URL to call.
    """
    url = checked_url(location, base=hop.url)
    if hop.url.scheme == "https" and url.scheme == "http":
        raise DestinationRefusedError(f"{hop.origin} redirects from https to http; correct the link at the source")
    to_get = (status == 303 and hop.method != "HEAD") or (status in {301, 302} and hop.method == "POST")  # noqa: PLR2004 - the RFC's numbers
    next_hop = replace(hop, url=url, method="GET" if to_get else hop.method, content=None if to_get else hop.content)
    if to_get:
        next_hop = replace(next_hop, headers=_without(hop.headers, {"content-type"}))
    if next_hop.origin == hop.origin:
        return next_hop
    if next_hop.content is not None:
        raise DestinationRefusedError(
            f"{hop.origin} redirects a request with a body to {next_hop.origin}; it is not sent on"
        )
    kept = {name: value for name, value in next_hop.headers.items() if name.lower() in HARMLESS_HEADERS}
    return replace(next_hop, headers=kept, trusted=False)


def _without(headers: Mapping[str, str], names: set[str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in names}
