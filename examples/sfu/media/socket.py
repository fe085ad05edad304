"""The node's one UDP socket: reads while there is something to read, asks the plane, writes what it answers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from examples.sfu.media.plane import Ended, Plane
from examples.sfu.media.stun import Address

BATCH: Final = 64
"""Datagrams taken in one turn of the event loop: processes and HTTP get theirs in between."""

_BUFFER: Final = 4 * 1024 * 1024
"""Bytes that the kernel keeps for us, if it may: half a second of 60 Mbit/s."""

_MAX_DATAGRAM: Final = 2048


def family_of(address: Address) -> socket.AddressFamily:
    """IPv4 or IPv6."""
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET


def bind(address: Address) -> socket.socket:
    """A UDP socket that never blocks. Raises OSError when the address is in use, or not this machine's."""
    bound = socket.socket(family_of(address), socket.SOCK_DGRAM)
    try:
        bound.setblocking(False)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


class MediaSocket:
    """Drives a plane. `notify` is given each event, from the event loop."""

    def __init__(self, plane: Plane, bound: socket.socket, notify: Callable[[Ended], None]) -> None:
        self._plane = plane
        self._socket = bound
        self._notify = notify
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self.received = 0
        self.sent = 0
        self._loop.add_reader(bound, self._read)

    def flush(self) -> None:
        """Send what the plane has, pass on its events, and wind its clock. To be called after each use of the plane."""
        for datagram, address in self._plane.take_datagrams():
            self._send(datagram, address)
        for event in self._plane.take_events():
            self._notify(event)
        due = self._plane.next_timer()
        if due is not None and self._timer is None:
            self._timer = self._loop.call_at(due, self._tick)

    def close(self) -> None:
        """Let go of socket and clock; the socket stays open for who comes next."""
        self._loop.remove_reader(self._socket)
        if self._timer is not None:
            self._timer.cancel()

    def _read(self) -> None:
        now = self._loop.time()
        for _ in range(BATCH):
            try:
                datagram, address = self._socket.recvfrom(_MAX_DATAGRAM)
            except BlockingIOError:
                break
            except OSError:
                # An ICMP error of an earlier send; whoever it was about will fall silent, and be missed.
                continue
            self.received += 1
            self._plane.receive(datagram, address[:2], now)
        self.flush()

    def _send(self, datagram: bytes, address: Address) -> None:
        try:
            self._socket.sendto(datagram, address)
        except OSError:
            # A full buffer or a lost route: media is not worth waiting for, and the other protocols repeat themselves.
            return
        self.sent += 1

    def _tick(self) -> None:
        self._timer = None
        self._plane.handle_timer(self._loop.time())
        self.flush()
