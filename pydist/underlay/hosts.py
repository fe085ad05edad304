"""Which address of an underlay a host has: a name need not be an address, and the system may know another network's."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable, Mapping

from pydist.core.addresses import parse_address
from pydist.errors import NodeStartError, Unreachable


class Hosts:
    """Hosts by their names, for one underlay.

    Args:
        spec: the underlay's name, for errors.
        known: addresses by names. What is here is not asked of the system. A name may also be an address, where nodes
            are named by one that they have elsewhere.
        contains: whether an address is one of the underlay.

    Raises:
        NodeStartError: what stands behind a name is no IP address.
    """

    def __init__(self, spec: str, known: Mapping[str, str] | None, contains: Callable[[str], bool]) -> None:
        self._spec = spec
        self._known = dict(known or {})
        self._contains = contains
        for host, address in self._known.items():
            if parse_address(address) is None:
                raise NodeStartError(f"hosts says that {host} is at {address!r}, which is no IP address")

    async def resolve(self, host: str) -> str:
        """The address that `hosts` gives, or that `host` is, or the first one of the underlay that the system knows.

        Raises:
            Unreachable: there is none, or it is not of the underlay.
        """
        given = self._known.get(host, host)
        address = parse_address(given)
        if address is not None:
            return self._first_of(host, [str(address)])
        return self._first_of(host, await _of_system(host))

    def _first_of(self, host: str, found: Iterable[str]) -> str:
        all_found = list(dict.fromkeys(found))
        for address in all_found:
            if self._contains(address):
                return address
        where = "is" if all_found == [host] else f"has the address {', '.join(all_found)}, which is"
        raise Unreachable(
            f"{host} {where} not of the underlay {self._spec}: "
            f'give the underlay the address that it has there, with hosts={{"{host}": "..."}}'
        )


async def _of_system(host: str) -> list[str]:
    """All addresses that the system's resolver gives."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # UnicodeError: what can be no host's name
        raise Unreachable(f"no host {host} is known here: {getattr(error, 'strerror', None) or error}") from error
    return [str(address[0]) for _, _, _, _, address in found]
