"""A DNS server on loopback for tests, over UDP and TCP, that answers well or badly. dnspython reads and writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import cast

import attrs
import dns.flags
import dns.message
import dns.rcode
import dns.rrset


@attrs.define
class Zone:
    """What the server says. All may be changed while it runs."""

    records: dict[tuple[str, str], list[str]] = attrs.field(factory=dict[tuple[str, str], list[str]])
    """Texts of records by name, with the final dot, and type."""
    rcode: dns.rcode.Rcode | None = None
    """Answers every question with this."""
    silent: bool = False
    garbage: bool = False
    asked: int = 0

    def answer(self, question: bytes, limit: int) -> bytes | None:
        """What a question is answered with, truncated where it has more bytes than the limit."""
        self.asked += 1
        if self.silent:
            return None
        if self.garbage:
            return question[:2] + b"\xff" * 40
        query = dns.message.from_wire(question)
        reply = dns.message.make_response(query)
        name, kind = str(query.question[0].name), query.question[0].rdtype.name
        texts = self.records.get((name, kind))
        if self.rcode is not None:
            reply.set_rcode(self.rcode)
        elif texts is not None:
            reply.answer.append(dns.rrset.from_text_list(name, 1, "IN", kind, texts))
        elif name not in {known for known, _ in self.records}:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        wire = reply.to_wire(max_size=65535)
        if len(wire) <= limit:
            return wire
        reply.answer.clear()
        reply.flags |= dns.flags.TC
        return reply.to_wire()


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, zone: Zone) -> None:
        self._zone = zone

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._zone.answer(data, 512)
        if answer is not None:
            self._transport.sendto(answer, addr)


@asynccontextmanager
async def serving(zone: Zone) -> AsyncGenerator[int]:
    """The port, for as long as the block lasts."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer = zone.answer(await reader.readexactly(int.from_bytes(await reader.readexactly(2))), 65535)
        if answer is not None:
            writer.write(len(answer).to_bytes(2) + answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Udp(zone), local_addr=("127.0.0.1", port)
    )
    try:
        yield port
    finally:
        transport.close()
        server.close()
