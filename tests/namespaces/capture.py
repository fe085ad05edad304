"""Every packet that passes an interface: `python -m tests.namespaces.capture INTERFACE FILE`, and how a test starts it.

Each packet stands in the file behind its length.
"""

from __future__ import annotations

import select
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.namespaces.hosts import PATIENCE, Machine

EVERY_PROTOCOL: Final = 3
"""linux/if_ether.h: ETH_P_ALL."""
BUFFER: Final = 32 * 1024 * 1024
_LENGTH: Final = struct.Struct(">I")
_OF_PACKETS: Final = 263
"""linux/socket.h: SOL_PACKET."""
_STATISTICS: Final = 6
"""linux/if_packet.h: PACKET_STATISTICS."""


class Capture:
    """Takes all packets at an interface, from now until `packets` is called."""

    def __init__(self, machine: Machine, interface: str, path: Path) -> None:
        self._path = path
        self._program = machine.start(sys.executable, "-m", "tests.namespaces.capture", interface, str(path))
        self._program.until("listening")

    def packets(self) -> list[bytes]:
        """What has passed; none was missed."""
        self._program.say("enough")
        assert self._program.until("missed") == "missed 0"
        self._program.popen.wait(PATIENCE)
        return list(_split(self._path.read_bytes()))


def _split(data: bytes) -> Iterator[bytes]:
    begin = 0
    while begin < len(data):
        [length] = _LENGTH.unpack_from(data, begin)
        begin += _LENGTH.size + length
        yield data[begin - length : begin]


def _capture(interface: str, path: Path) -> int:
    """Write packets down until a line comes, and there are no more; how many were missed."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as packets, path.open("wb") as file:
        packets.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        packets.bind((interface, EVERY_PROTOCOL))
        print("listening", flush=True)  # noqa: T201  # the word that is waited for
        while packets in (ready := select.select([packets, sys.stdin], [], [])[0]) or not ready:
            packet = packets.recv(1 << 17)
            file.write(_LENGTH.pack(len(packet)) + packet)
        _, missed = struct.unpack("II", packets.getsockopt(_OF_PACKETS, _STATISTICS, 8))
    return int(missed)


if __name__ == "__main__":
    print("missed", _capture(sys.argv[1], Path(sys.argv[2])))  # noqa: T201  # the answer
