"""The network interfaces of this host, as Linux tells of them."""

from __future__ import annotations

import socket
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path
from typing import Final, Protocol

import attrs

from pydist.wire.netlink import Owned, address_request, read_addresses

_SYS: Final = Path("/sys/class/net")
_USERSPACE: Final = Path("/var/run/wireguard")
"""Where a WireGuard in userspace, as wireguard-go, has a socket for each of its interfaces."""


@attrs.frozen
class Interface:
    """One interface, and the addresses that it has now; without those of its link alone, as fe80::1."""

    name: str
    is_wireguard: bool
    addresses: tuple[IPv4Interface | IPv6Interface, ...] = ()


class Interfaces(Protocol):
    """Where they are read; a test has others."""

    def read(self) -> list[Interface]:
        """All that there are now."""
        ...

    def source_of(self, address: str) -> str | None:
        """Which own address a packet to `address` would bear; None where there is no way."""
        ...


class SystemInterfaces:
    """Those of this host, in the network namespace of this program."""

    def read(self) -> list[Interface]:
        """By netlink and /sys."""
        owned = _read_owned()
        return [
            Interface(
                name,
                _is_wireguard(name),
                tuple(each.address for each in owned if each.index == index and not each.address.is_link_local),
            )
            for index, name in socket.if_nameindex()
        ]

    def source_of(self, address: str) -> str | None:
        """As the routes say: a datagram socket that is connected sends nothing."""
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as sock:
            try:
                sock.connect((address, 9))
            except OSError:
                return None
            return str(sock.getsockname()[0])


def _read_owned() -> list[Owned]:
    found: list[Owned] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        sock.settimeout(1.0)
        sock.send(address_request())
        done = False
        while not done:
            part, done = read_addresses(sock.recv(1 << 16))
            found += part
    return found


def _is_wireguard(name: str) -> bool:
    try:
        kind = (_SYS / name / "uevent").read_text()
    except OSError:  # gone meanwhile
        return False
    in_userspace = (_SYS / name / "tun_flags").exists() and (_USERSPACE / f"{name}.sock").exists()
    return "DEVTYPE=wireguard" in kind.splitlines() or in_userspace
