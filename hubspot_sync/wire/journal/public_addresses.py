"""Which addresses of the network are anybody's: those that a file may be fetched from.

A name is resolved once and the addresses found are the ones connected to, so a name that answers
differently the second time gains nothing. One private address among them spoils the name: no
storage service has such, an attack on our own network does.
"""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

IpAddress = IPv4Address | IPv6Address

NAT64: Final = IPv6Network("64:ff9b::/96")
"""RFC 6052: the last four bytes are the IPv4 address that is reached."""
IPV4_COMPATIBLE: Final = IPv6Network("::/96")
GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
# Of IANA's special-purpose registries, what the standard library of 3.11 does not know yet.
SPECIAL: Final = (IPv4Network("192.0.0.0/24"), IPv6Network("3fff::/20"))


class ForbiddenAddress(Exception):
    """A name has an address that is not public, or none. The text names neither."""


def check_addresses(addresses: list[str], *, allow_private: bool) -> list[str]:
    """Return the addresses if a file may come from all of them, else raise ForbiddenAddress."""
    if not addresses:
        raise ForbiddenAddress("The host of a file has no address.")
    if not allow_private and not all(is_public(address) for address in addresses):
        raise ForbiddenAddress("The host of a file is in no public network.")
    return addresses


def is_public(address: str) -> bool:
    """Return whether an address is anybody's, seen through every form that hides an IPv4 one."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return all(_is_global(each) for each in _addresses_in(parsed))


def _addresses_in(address: IpAddress) -> list[IpAddress]:
    """What is reached: the IPv4 addresses within an IPv6 one beside or instead of itself."""
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address in NAT64 or address in IPV4_COMPATIBLE:
        return [IPv4Address(int(address) & 0xFFFF_FFFF)]
    if address.sixtofour is not None:
        return [address, address.sixtofour]
    if address.teredo is not None:
        return [address, *address.teredo]
    return [address]


def _is_global(address: IpAddress) -> bool:
    if isinstance(address, IPv6Address) and address not in GLOBAL_UNICAST:
        return False
    if any(address in network for network in SPECIAL):
        return False
    return address.is_global and not address.is_multicast
