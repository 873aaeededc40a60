"""Which addresses may be called. Pure: names are resolved elsewhere, and every answer is judged here.

The tables are IANA's special-purpose registries (RFC 6890 and its updates), written out: what the standard library
calls private or global has changed between patch releases of Python.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network


class Refusal(StrEnum):
    """Why an address is not called."""

    UNSPECIFIED = "unspecified"
    LOOPBACK = "loopback"
    PRIVATE = "private"
    SHARED = "shared by a carrier (RFC 6598)"
    LINK_LOCAL = "link-local"
    MULTICAST = "multicast"
    RESERVED = "reserved"
    METADATA = "a cloud's metadata service"


_IPV4: Final = (
    (IPv4Network("0.0.0.0/8"), Refusal.UNSPECIFIED),
    (IPv4Network("10.0.0.0/8"), Refusal.PRIVATE),
    (IPv4Network("100.64.0.0/10"), Refusal.SHARED),
    (IPv4Network("127.0.0.0/8"), Refusal.LOOPBACK),
    (IPv4Network("169.254.0.0/16"), Refusal.LINK_LOCAL),
    (IPv4Network("172.16.0.0/12"), Refusal.PRIVATE),
    (IPv4Network("192.0.0.0/24"), Refusal.RESERVED),
    (IPv4Network("192.0.2.0/24"), Refusal.RESERVED),  # documentation, as the two below
    (IPv4Network("192.88.99.0/24"), Refusal.RESERVED),  # 6to4 relays, withdrawn
    (IPv4Network("192.168.0.0/16"), Refusal.PRIVATE),
    (IPv4Network("198.18.0.0/15"), Refusal.RESERVED),  # benchmarks
    (IPv4Network("198.51.100.0/24"), Refusal.RESERVED),
    (IPv4Network("203.0.113.0/24"), Refusal.RESERVED),
    (IPv4Network("224.0.0.0/4"), Refusal.MULTICAST),
    (IPv4Network("240.0.0.0/4"), Refusal.RESERVED),
)
_IPV6: Final = (
    (IPv6Network("::/128"), Refusal.UNSPECIFIED),
    (IPv6Network("::1/128"), Refusal.LOOPBACK),
    (IPv6Network("fc00::/7"), Refusal.PRIVATE),
    (IPv6Network("fe80::/10"), Refusal.LINK_LOCAL),
    (IPv6Network("fec0::/10"), Refusal.PRIVATE),  # site-local, withdrawn and still routed by some
    (IPv6Network("ff00::/8"), Refusal.MULTICAST),
    (IPv6Network("2001::/23"), Refusal.RESERVED),  # Teredo and other protocols, ORCHID
    (IPv6Network("2001:db8::/32"), Refusal.RESERVED),
    (IPv6Network("3fff::/20"), Refusal.RESERVED),
)
_IPV6_GLOBAL: Final = IPv6Network("2000::/3")  # all that is assigned as global unicast; the rest is refused unnamed

# Some lie in networks that an installation may well allow, one even in a public network (Azure's). They hand out
# credentials to whoever asks, so that only naming the very address opens them.
METADATA: Final[frozenset[Address]] = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Azure, GCP, DigitalOcean, OpenStack
        "169.254.170.2",  # AWS ECS
        "169.254.170.23",  # AWS EKS
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",  # GCP
        "100.100.100.200",  # Alibaba
        "192.0.0.192",  # Oracle
        "168.63.129.16",  # Azure
    )
)

_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_TRANSLATED: Final = IPv6Network("::ffff:0:0:0/96")  # RFC 2765
_COMPATIBLE: Final = IPv6Network("::/96")
_NAT64: Final = IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR: Final = IPv6Network("2002::/16")
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})  # RFC 5214: the third quarter of such an address
_LOW_32: Final = 0xFFFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressPolicy:
    """What an installation allows beyond public addresses.

    `networks`: addresses that may be called under any name. `hosts`: names that may lead to any address but metadata
    services; `.example.com` stands for every name below it.
    """

    networks: tuple[Network, ...] = ()
    hosts: tuple[str, ...] = ()

    def allows_host(self, host: str) -> bool:
        name = host.rstrip(".").lower()
        return any(name.endswith(entry) if entry.startswith(".") else name == entry for entry in self.hosts)


def effective(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address leads to (mapped, compatible, NAT64, 6to4, ISATAP), else itself."""
    if isinstance(address, IPv4Address):
        return address
    bare = IPv6Address(int(address))  # without its zone
    number = int(bare)
    if any(bare in network for network in (_MAPPED, _TRANSLATED, _NAT64)):
        return IPv4Address(number & _LOW_32)
    if bare in _SIX_TO_FOUR:
        return IPv4Address(number >> 80 & _LOW_32)
    if number >> 32 & _LOW_32 in _ISATAP or (bare in _COMPATIBLE and number > 1):
        return IPv4Address(number & _LOW_32)
    return bare


def refusal_of(address: Address, *, host: str, policy: AddressPolicy) -> Refusal | None:
    """Return why `host`, which leads to this address, is not called; None if it may be."""
    meant = effective(address)
    named = [network for network in policy.networks if meant in network]
    if meant in METADATA:
        return None if any(network.num_addresses == 1 for network in named) else Refusal.METADATA
    if named or policy.allows_host(host):
        return None
    return _special(meant)


def first_refusal(addresses: Iterable[Address], *, host: str, policy: AddressPolicy) -> tuple[Address, Refusal] | None:
    """Return the first address that is refused: one is enough, or a name with two answers would be a way in."""
    for address in addresses:
        if refusal := refusal_of(address, host=host, policy=policy):
            return address, refusal
    return None


def literal(host: str) -> Address | None:
    """Return the address that a URL's host is written as, if it is one in its canonical form; None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def is_disguised(host: str) -> bool:
    """Whether a host is a number in a form that resolvers still take for IPv4: `127.1`, `0x7f.1`, `2130706433`."""
    if literal(host) is not None:
        return False
    last = host.rstrip(".").rpartition(".")[2].lower()
    return last.isdecimal() or (last.startswith("0x") and all(digit in "0123456789abcdef" for digit in last[2:]))


def _special(address: Address) -> Refusal | None:
    if isinstance(address, IPv4Address):
        return next((refusal for network, refusal in _IPV4 if address in network), None)
    found = next((refusal for network, refusal in _IPV6 if address in network), None)
    return found or (None if address in _IPV6_GLOBAL else Refusal.RESERVED)
