"""The network that a cluster talks on, and on no other: loopback, WireGuard, or a tailnet.

pydist does not encrypt. An underlay does, and tells hosts apart; a node that is given one listens at its addresses
alone, takes connections from its addresses alone, and dials those alone.

    underlay = WireGuardUnderlay("wg0")
    run(main, name="a@alpha", underlay=underlay)

Whoever has another kind of private network writes a class of this shape. All methods are called on the event loop, and
one underlay may serve several nodes of it.
"""

from __future__ import annotations

from typing import Protocol

import attrs


@attrs.frozen
class Member:
    """Who is at an address of an underlay.

    Args:
        name: what the underlay calls it: a host of the tailnet, or the public key of a WireGuard peer.
        tags: what it is, as lists of who may do what know it: "tag:ops".
    """

    name: str
    tags: frozenset[str] = frozenset()


class Underlay(Protocol):
    """A network that encrypts, and tells hosts apart; or one that never leaves this host.

    Addresses are IP addresses as text, without ports.
    """

    @property
    def spec(self) -> str:
        """What `python -m pydist.epmd --underlay` takes for it, and the log calls it: "wireguard:wg0"."""
        ...

    def addresses(self) -> tuple[str, ...]:
        """Own addresses of this host, as last known, the first choice first; none while it is away."""
        ...

    def contains(self, address: str) -> bool:
        """Whether an address is one of the underlay, own ones included. Asked for each connection; does no I/O."""
        ...

    async def ready(self) -> tuple[str, ...]:
        """Wait until this host has addresses there, as long as the underlay's settings say; those addresses.

        Raises:
            NodeStartError: it has none, or not in time, or there can't be any.
        """
        ...

    async def changed(self, known: tuple[str, ...]) -> tuple[str, ...]:
        """Wait, however long, until the addresses are others than `known`; those addresses.

        A caller who asks again with what it was told misses nothing that lasts. Several callers may wait.
        """
        ...

    async def resolve(self, host: str) -> str:
        """The address of a host, by its name or address, as one of the underlay.

        Raises:
            Unreachable: nobody knows the name, or its address is not of the underlay.
        """
        ...

    async def whois(self, address: str) -> Member | None:
        """Who is at an address; None where the underlay can't tell, or does not answer."""
        ...
