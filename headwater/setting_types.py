"""Values of settings whose errors say how to write them."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BeforeValidator


def _network(value: Any) -> IPv4Network | IPv6Network:
    try:
        return ip_network(value)
    except ValueError as error:
        raise ValueError(
            f"{value!r} is no network; write it like 10.0.0.0/8, or 10.1.2.3/32 for one address"
        ) from error


def _host(value: str) -> str:
    if not value.strip(".") or not all(sign.isalnum() or sign in ".-_" for sign in value):
        raise ValueError(f"{value!r} is no host; write wiki.example.com, or .example.com for all names below it")
    return value.lower()


def _proxy_url(value: str) -> str:
    if not value.startswith(("http://", "https://")) or "@" in value:
        raise ValueError("write it as http://host:port; credentials go to egress.proxy_credentials")
    return value


Network: TypeAlias = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)]
Host: TypeAlias = Annotated[str, AfterValidator(_host)]
ProxyUrl: TypeAlias = Annotated[str, AfterValidator(_proxy_url)]
