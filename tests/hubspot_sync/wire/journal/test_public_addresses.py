"""Which addresses a file may be fetched from: anybody's, through no disguise of a private one."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubspot_sync.wire.journal.public_addresses import (
    ForbiddenAddress,
    check_addresses,
    is_public,
)

PRIVATE_V4 = [
    "0.0.0.0",  # noqa: S104 - not bound to
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.127.255.254",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
]
PUBLIC_V4 = ["1.1.1.1", "52.216.0.1", "100.63.255.255", "100.128.0.1", "172.32.0.1", "9.9.9.9"]


@pytest.mark.parametrize("address", PRIVATE_V4)
def test_a_private_address_is_nobodys_in_any_disguise(address: str) -> None:
    number = int(ipaddress.IPv4Address(address))
    disguises = [
        f"::ffff:{address}",
        f"64:ff9b::{address}",
        f"::{address}",
        str(ipaddress.IPv6Address((0x2002 << 112) | (number << 80))),
        str(ipaddress.IPv6Address((0x20010000 << 96) | (0x01010101 << 64) | (number ^ 0xFFFFFFFF))),
        f"64:ff9b:1::{address}",
    ]

    assert [each for each in (address, *disguises) if is_public(each)] == []


@pytest.mark.parametrize("address", PUBLIC_V4)
def test_a_public_address_is_anybodys(address: str) -> None:
    assert is_public(address)
    assert is_public(f"64:ff9b::{address}")
    assert is_public(f"::ffff:{address}")


@pytest.mark.parametrize(
    "address",
    [
        *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "fec0::1", "ff02::1"),
        *(
            "2001:db8::1",
            "100::1",
            "64:ff9b:1::1",
            "",
            "localhost",
            "1.2.3",
            "0x7f.1",
            "1.1.1.1:80",
        ),
    ],
)
def test_what_is_local_or_no_address_is_refused(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["2606:4700:4700::1111", "2a05:d014::1"])
def test_a_public_ipv6_address_is_anybodys(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses())
def test_nothing_is_public_that_the_standard_library_calls_private(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    hides_another = address.version == 6 and address in ipaddress.IPv6Network("64:ff9b::/96")
    if is_public(str(address)) and not hides_another:
        assert address.is_global
        assert not address.is_multicast


def test_one_private_address_spoils_a_name() -> None:
    with pytest.raises(ForbiddenAddress):
        check_addresses(["1.1.1.1", "10.0.0.1"], allow_private=False)
    with pytest.raises(ForbiddenAddress):
        check_addresses([], allow_private=True)
    assert check_addresses(["10.0.0.1"], allow_private=True) == ["10.0.0.1"]
