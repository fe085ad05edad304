"""A relay link as this node sees it: one channel, one other node, one direction of media (`relay` is its format)."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from examples.sfu.media import relay
from examples.sfu.media.endpoint import Emit
from examples.sfu.media.stun import Address

LEASE: Final = 5.0
"""Seconds that a link is fed without a word from its subscribers' node, which reports each second."""

Direction: TypeAlias = Literal["in", "out"]


class Link:
    """Where packets for the other node go."""

    def __init__(
        self, number: int, channel: str, node: str, direction: Direction, *, address: Address, emit: Emit
    ) -> None:
        self.number = number
        self.channel = channel
        self.node = node
        self.direction: Direction = direction
        self.address = address
        self.heard_at = 0.0
        self._emit = emit

    def send_rtp(self, packet: bytes) -> None:
        self._emit(relay.pack(self.number, packet), self.address)

    def send_rtcp(self, compound: bytes) -> None:
        self._emit(relay.pack(self.number, compound), self.address)

    def is_abandoned(self, now: float) -> bool:
        """Whether nobody listens any more. A node that only listens waits for the directory's word instead."""
        return self.direction == "out" and now - self.heard_at >= LEASE
