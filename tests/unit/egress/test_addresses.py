"""Which addresses may be called."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.clients.egress.addresses import METADATA, AddressPolicy, Refusal, is_disguised, refusal_of

NOTHING = AddressPolicy()
IPV4 = st.integers(min_value=0, max_value=2**32 - 1).map(IPv4Address)


@pytest.mark.parametrize(
    ("address", "refusal"),
    [
        ("127.0.0.1", Refusal.LOOPBACK),
        ("10.1.2.3", Refusal.PRIVATE),
        ("172.31.255.255", Refusal.PRIVATE),
        ("192.168.0.1", Refusal.PRIVATE),
        ("100.64.0.1", Refusal.SHARED),
        ("169.254.1.1", Refusal.LINK_LOCAL),
        ("224.0.0.1", Refusal.MULTICAST),
        ("255.255.255.255", Refusal.RESERVED),
        ("0.0.0.0", Refusal.UNSPECIFIED),  # noqa: S104 - an address to judge
        ("169.254.169.254", Refusal.METADATA),
        ("168.63.129.16", Refusal.METADATA),
        ("169.254.170.2", Refusal.METADATA),
        ("169.254.170.23", Refusal.METADATA),
        ("100.100.100.200", Refusal.METADATA),
        ("192.0.0.192", Refusal.METADATA),
        ("fd00:ec2::254", Refusal.METADATA),
        ("fd00:ec2::254%eth0", Refusal.METADATA),
        ("fd00:ec2::23", Refusal.METADATA),
        ("fd20:ce::254", Refusal.METADATA),
        ("::1", Refusal.LOOPBACK),
        ("::", Refusal.UNSPECIFIED),
        ("fe80::1%eth0", Refusal.LINK_LOCAL),
        ("fd12::1", Refusal.PRIVATE),
        ("ff02::1", Refusal.MULTICAST),
        ("2001:db8::1", Refusal.RESERVED),
        ("64:ff9b:1::1", Refusal.RESERVED),
        ("::ffff:169.254.169.254", Refusal.METADATA),
        ("64:ff9b::7f00:1", Refusal.LOOPBACK),
        ("2002:a00:1::", Refusal.PRIVATE),
        ("2a00::5efe:c0a8:1", Refusal.PRIVATE),
        ("2a00::200:5efe:c0a8:1", Refusal.PRIVATE),
        ("::ffff:0:a9fe:a9fe", Refusal.METADATA),
        ("::a9fe:a9fe", Refusal.METADATA),
        ("2001::1", Refusal.RESERVED),
        ("3fff::1", Refusal.RESERVED),
        ("fec0::1", Refusal.PRIVATE),
        ("192.0.0.1", Refusal.RESERVED),
        ("192.0.2.1", Refusal.RESERVED),
        ("192.88.99.1", Refusal.RESERVED),
        ("198.18.0.1", Refusal.RESERVED),
        ("198.51.100.1", Refusal.RESERVED),
        ("203.0.113.1", Refusal.RESERVED),
        ("240.0.0.1", Refusal.RESERVED),
        ("8.8.8.8", None),
        ("172.32.0.1", None),
        ("2606:4700::1111", None),
        ("64:ff9b::808:808", None),
    ],
)
def test_an_address_is_judged(address: str, refusal: Refusal | None) -> None:
    assert refusal_of(ip_address(address), host="wiki.test", policy=NOTHING) == refusal


@given(address=IPV4)
def test_wrapping_an_ipv4_address_in_ipv6_changes_nothing(address: IPv4Address) -> None:
    plain = refusal_of(address, host="wiki.test", policy=NOTHING)
    for first, shift in ((0xFFFF << 32, 0), (0x64FF9B << 96, 0), (0x2002 << 112, 80)):
        wrapped = IPv6Address(first | int(address) << shift)
        assert refusal_of(wrapped, host="wiki.test", policy=NOTHING) == plain


@given(address=IPV4)
def test_what_is_allowed_is_called_unless_it_is_a_metadata_service(address: IPv4Address) -> None:
    policy = AddressPolicy(networks=(ip_network("0.0.0.0/0"),), hosts=("wiki.test",))
    assert (refusal_of(address, host="wiki.test", policy=policy) is None) is (address not in METADATA)


@pytest.mark.parametrize("address", sorted(METADATA, key=str))
def test_a_metadata_service_is_opened_by_its_very_address_alone(address: IPv4Address) -> None:
    wide = AddressPolicy(networks=(ip_network("0.0.0.0/0"), ip_network("::/0")), hosts=("wiki.test",))
    exact = AddressPolicy(networks=(ip_network(address),))
    assert refusal_of(address, host="wiki.test", policy=wide) is Refusal.METADATA
    assert refusal_of(address, host="wiki.test", policy=exact) is None


def test_an_allowed_name_is_that_name_or_one_below_a_leading_dot() -> None:
    policy = AddressPolicy(hosts=("wiki.test", ".corp.test"))
    allowed = [name for name in ("WIKI.test.", "a.wiki.test", "b.corp.test", "corp.test") if policy.allows_host(name)]
    assert allowed == ["WIKI.test.", "b.corp.test"]


@pytest.mark.parametrize("host", ["127.1", "127.1.", "2130706433", "0x7f.1", "0x7f000001", "0177.0.0.1", "1.2.3.4.5"])
def test_numbers_in_disguise_are_found(host: str) -> None:
    assert is_disguised(host)


@pytest.mark.parametrize("host", ["wiki.test", "127.0.0.1", "::1", "7.wiki.test", "0xcafe.test"])
def test_names_and_plain_addresses_are_no_disguise(host: str) -> None:
    assert not is_disguised(host)
