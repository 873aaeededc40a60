"""One request to one checked address: the name is resolved once, every answer judged, and the address itself called.

The URL on the wire side names the address, so that nothing below can resolve again; the Host header, the TLS
server name and the name that the certificate must prove stay the source's (httpx's `sni_hostname`). Because a
connection is then known by its address alone, each origin has a pool of its own: a connection proved for one name never
serves another.
"""

import asyncio
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import httpx

from headwater.clients.egress.addresses import Address, AddressPolicy, Refusal, first_refusal, literal
from headwater.clients.egress.errors import DestinationRefusedError, SourceAwayError, of_transport
from headwater.clients.egress.resolving import Resolver
from headwater.clients.egress.targets import Hop, Origin

MAX_POOLS: Final = 64  # idle ones beyond are closed, the longest unused first
_LIMITS: Final = httpx.Limits(max_connections=100, max_keepalive_connections=10, keepalive_expiry=30.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Of one hop, in seconds."""

    connect_s: float
    read_s: float

    def extension(self) -> dict[str, float]:
        return {"connect": self.connect_s, "read": self.read_s, "write": self.read_s, "pool": self.read_s}


@dataclass(slots=True, kw_only=True)
class _Pool:
    transport: httpx.AsyncHTTPTransport
    users: int = field(default=0)


class GuardedTransport:
    """Sends hops, directly or by way of the proxy. Use within `async with`."""

    def __init__(
        self,
        *,
        policy: AddressPolicy,
        resolver: Resolver,
        tls: Callable[[], ssl.SSLContext],
        proxy: httpx.Proxy | None,
    ) -> None:
        self._policy, self._resolver, self._tls = policy, resolver, tls
        self._proxied = None if proxy is None else httpx.AsyncHTTPTransport(verify=tls(), proxy=proxy, limits=_LIMITS)
        self._pools: OrderedDict[Origin, _Pool] = OrderedDict()

    async def aclose(self) -> None:
        """Close every connection."""
        async with AsyncExitStack() as stack:
            if self._proxied is not None:
                stack.push_async_callback(self._proxied.aclose)
            for pool in self._pools.values():
                stack.push_async_callback(pool.transport.aclose)
            self._pools.clear()

    @asynccontextmanager
    async def opened(self, hop: Hop, *, timeouts: Timeouts) -> AsyncIterator[httpx.Response]:
        """Send a hop and yield its response, body unread; the connection is given back, or closed, at the end.

        Raises DestinationRefusedError before anything is sent to a refused address, else what `of_transport` makes of
        httpx's errors.
        """
        async with AsyncExitStack() as stack:
            if self._proxied is not None:
                self._judge(hop.origin, [] if (address := literal(hop.origin.host)) is None else [address])
                response = await self._sent(self._proxied, hop, host=None, timeouts=timeouts)
            else:
                addresses = await self._addresses(hop.origin, timeouts)
                transport = await stack.enter_async_context(self._pool(hop.origin))
                response = await self._first_that_answers(transport, hop, addresses, timeouts)
            stack.push_async_callback(response.aclose)
            yield response

    async def _addresses(self, origin: Origin, timeouts: Timeouts) -> list[Address]:
        address = literal(origin.host)
        if address is None:
            try:
                async with asyncio.timeout(timeouts.connect_s):
                    addresses = list(await self._resolver.resolve(origin.host, origin.port))
            except TimeoutError as error:
                raise SourceAwayError(f"{origin.host}: its name is not resolved in time; check the resolver") from error
        else:
            addresses = [address]
        self._judge(origin, addresses)
        return addresses

    def _judge(self, origin: Origin, addresses: list[Address]) -> None:
        refused = first_refusal(addresses, host=origin.host, policy=self._policy)
        if refused is not None:
            raise _refused(origin, *refused)

    async def _first_that_answers(
        self, transport: httpx.AsyncHTTPTransport, hop: Hop, addresses: list[Address], timeouts: Timeouts
    ) -> httpx.Response:
        # Nothing was sent where no connection came about: the next address may be tried for any method.
        for address in addresses[:-1]:
            try:
                return await self._sent(transport, hop, host=str(address), timeouts=timeouts)
            except SourceAwayError as error:
                if not isinstance(error.__cause__, httpx.ConnectError | httpx.ConnectTimeout):
                    raise
        return await self._sent(transport, hop, host=str(addresses[-1]), timeouts=timeouts)

    async def _sent(
        self, transport: httpx.AsyncHTTPTransport, hop: Hop, *, host: str | None, timeouts: Timeouts
    ) -> httpx.Response:
        name = hop.origin.host
        extensions: dict[str, object] = {"timeout": timeouts.extension()}
        if host is not None and literal(name) is None:
            extensions["sni_hostname"] = name
        if hop.target is not None:
            extensions["target"] = hop.target
        request = httpx.Request(
            hop.method,
            hop.url if host is None else hop.url.copy_with(host=host),
            headers={**hop.headers, "Host": hop.url.netloc.decode("ascii")},
            content=hop.content,
            extensions=extensions,
        )
        try:
            response = await transport.handle_async_request(request)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise of_transport(error, host=name) from error
        response.request = request
        return response

    @asynccontextmanager
    async def _pool(self, origin: Origin) -> AsyncIterator[httpx.AsyncHTTPTransport]:
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools[origin] = _Pool(transport=self._made(origin))
        self._pools.move_to_end(origin)
        pool.users += 1
        try:
            await self._close_idle()
            yield pool.transport
        finally:
            pool.users -= 1

    def _made(self, origin: Origin) -> httpx.AsyncHTTPTransport:
        # Reading the system's authorities takes tens of ms, which plain http can do without.
        tls = self._tls() if origin.scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return httpx.AsyncHTTPTransport(verify=tls, limits=_LIMITS)

    async def _close_idle(self) -> None:
        idle = [origin for origin, pool in self._pools.items() if pool.users == 0]
        for origin in idle[: max(0, len(self._pools) - MAX_POOLS)]:
            await self._pools.pop(origin).transport.aclose()


def _refused(origin: Origin, address: Address, refusal: Refusal) -> DestinationRefusedError:
    leads = "" if literal(origin.host) is not None else f", which leads to {address},"
    remedy = (
        "name the address alone in egress.allowed_networks if it must be called"
        if refusal is Refusal.METADATA
        else f"if it is yours, allow it: egress.allowed_hosts ({origin.host}) or egress.allowed_networks"
    )
    return DestinationRefusedError(f"{origin.host}{leads} is not called: the address is {refusal}; {remedy}")
