"""Names into addresses, once for each request: what is judged is what is called."""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Protocol

from headwater.clients.egress.addresses import Address
from headwater.clients.egress.errors import SourceAwayError


class Resolver(Protocol):
    """Finds the addresses of a name."""

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        """Return all addresses, best first, at least one. Raises SourceAwayError where there is none (yet)."""
        ...


class SystemResolver:
    """The host's own resolver, in a thread: hosts file, search domains and order are the system's."""

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise SourceAwayError(f"{host} has no address; check the name, and the resolver of this host") from error
        return tuple(dict.fromkeys(ip_address(str(address[0])) for *_, address in found))
