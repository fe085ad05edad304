"""What an IP address is good for: whether it stays on this host, in a private network, in a tailnet, or is public."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Literal, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Subnet: TypeAlias = IPv4Network | IPv6Network
AddressKind: TypeAlias = Literal["any", "loopback", "link-local", "tailnet", "private", "public"]

TAILNET: Final[tuple[Subnet, ...]] = (ip_network("100.64.0.0/10"), ip_network("fd7a:115c:a1e0::/48"))
"""Where Tailscale's addresses are; others may use the first of them, too (RFC 6598)."""


def parse_address(text: str) -> Address | None:
    """The address that is written there; None where it is none.

    One of IPv4 that came through a socket for both families, as ::ffff:10.0.0.2, is one of IPv4.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def kind_of(address: Address) -> AddressKind:
    """What the address is good for. "any" means all addresses of a host; what is reserved counts as private."""
    if address.is_unspecified:
        return "any"
    if address.is_loopback:
        return "loopback"
    if address.is_link_local:
        return "link-local"
    if within(address, TAILNET):
        return "tailnet"
    return "public" if address.is_global else "private"


def within(address: Address, subnets: Iterable[Subnet]) -> bool:
    """Whether one of the subnets has the address. A zone, as in fe80::1%wg0, is left out of account."""
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        address = IPv6Address(int(address))
    return any(address in subnet for subnet in subnets)
