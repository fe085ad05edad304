"""The endpoints of a node, found by session, by the name in a check, or by the address a datagram came from."""

from __future__ import annotations

from typing import Final

from examples.sfu.media.endpoint import Endpoint
from examples.sfu.media.stun import Address

MAX_ADDRESSES: Final = 8
"""Of one browser: Wi-Fi, LTE, VPN, each with IPv4 and IPv6."""


class Endpoints:
    """Three ways to the same objects."""

    def __init__(self) -> None:
        self.by_session: dict[str, Endpoint] = {}
        self._by_ufrag: dict[bytes, Endpoint] = {}
        self._by_address: dict[Address, Endpoint] = {}
        self._addresses: dict[str, list[Address]] = {}

    def __len__(self) -> int:
        return len(self.by_session)

    def add(self, endpoint: Endpoint) -> None:
        self.by_session[endpoint.member.session] = endpoint
        self._by_ufrag[endpoint.credentials.ufrag.encode()] = endpoint
        self._addresses[endpoint.member.session] = []

    def remove(self, endpoint: Endpoint) -> None:
        del self.by_session[endpoint.member.session]
        del self._by_ufrag[endpoint.credentials.ufrag.encode()]
        for address in self._addresses.pop(endpoint.member.session):
            del self._by_address[address]

    def of_username(self, username: bytes) -> Endpoint | None:
        """By USERNAME, in which our name stands first (RFC 8445 section 7.2.2)."""
        return self._by_ufrag.get(username.partition(b":")[0])

    def of_address(self, address: Address) -> Endpoint | None:
        return self._by_address.get(address)

    def learn(self, endpoint: Endpoint, address: Address) -> None:
        """`address` has shown that it is the endpoint's; it may have been another's before."""
        owner = self._by_address.get(address)
        if owner is endpoint:
            return
        if owner is not None:
            self._addresses[owner.member.session].remove(address)
        self._by_address[address] = endpoint
        known = self._addresses[endpoint.member.session]
        known.append(address)
        if len(known) > MAX_ADDRESSES:
            oldest = known[0] if known[0] != endpoint.address else known[1]
            known.remove(oldest)
            del self._by_address[oldest]
