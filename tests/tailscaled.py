"""A tailscaled for tests: the part of its LocalAPI that pydist asks, and all that can go wrong with it.

Written from what is public of Tailscale: the Go packages `ipn/localapi`, `ipn/ipnstate`, `tailcfg`. As the real one it
refuses requests for another host, answers in chunks where the answer is long, knows a machine by its addresses, and
gives null for lists that Go holds to be empty. Its machines may have any addresses; those of tests are of 127.0.0.0/8.

As a program, for pages that show commands: python -m tests.tailscaled SOCKET NAME=ADDRESS[,tag:...] ...
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import attrs

HOST: Final = "local-tailscaled.sock"
SUFFIX: Final = "tail1234.ts.net"


@attrs.define
class FakeMachine:
    """A machine as the fake knows it; `name` is the first part of its MagicDNS name."""

    name: str
    addresses: list[str]
    tags: list[str] = attrs.field(factory=list[str])
    user: str = "ann@example.com"
    online: bool = True
    expired: bool = False
    host_name: str = ""
    suffix: str = SUFFIX

    @property
    def login(self) -> str:
        return "tagged-devices" if self.tags else self.user

    def as_peer(self) -> dict[str, Any]:
        """Its `ipnstate.PeerStatus`, with some of the fields that nobody here reads."""
        peer: dict[str, Any] = {
            "ID": f"n{self.name}CNTRL",
            "PublicKey": f"nodekey:{self.name}",
            "HostName": self.host_name or self.name,
            "DNSName": f"{self.name}.{self.suffix}.",
            "OS": "linux",
            "UserID": 1,
            "TailscaleIPs": self.addresses or None,
            "AllowedIPs": [f"{address}/{128 if ':' in address else 32}" for address in self.addresses],
            "Addrs": None,
            "CurAddr": "",
            "Relay": "fra",
            "RxBytes": 0,
            "LastSeen": "0001-01-01T00:00:00Z",
            "Online": self.online,
            "InNetworkMap": True,
        }
        if self.tags:
            peer["Tags"] = self.tags
        if self.expired:
            peer["Expired"] = True
        return peer

    def as_node(self) -> dict[str, Any]:
        """Its `tailcfg.Node`."""
        node: dict[str, Any] = {
            "ID": 1,
            "StableID": f"n{self.name}CNTRL",
            "Name": f"{self.name}.{self.suffix}.",
            "User": 1,
            "Addresses": [f"{address}/{128 if ':' in address else 32}" for address in self.addresses],
            "Hostinfo": {"OS": "linux", "Hostname": self.host_name or self.name},
            "Online": self.online,
        }
        if self.tags:
            node["Tags"] = self.tags
        return node


@attrs.define
class Tailscaled:
    """What it knows, and how it behaves; both may be changed while it runs."""

    me: FakeMachine
    peers: list[FakeMachine] = attrs.field(factory=list[FakeMachine])
    state: str = "Running"
    health: list[str] = attrs.field(factory=list[str])
    tun: bool = True
    answer: Callable[[asyncio.StreamWriter], object] | None = None
    """Does something else than to answer; what it returns is awaited if it can be. See `manners` below."""
    asked: list[str] = attrs.field(factory=list[str])
    """The paths that were asked for."""

    def status(self, *, peers: bool) -> dict[str, Any]:
        up = self.state == "Running"
        known = {f"nodekey:{peer.name}": peer.as_peer() for peer in self.peers}
        return {
            "Version": "1.96.0",
            "TUN": self.tun,
            "BackendState": self.state,
            "HaveNodeKey": up,
            "AuthURL": "https://login.example.com/a/1234" if self.state == "NeedsLogin" else "",
            "TailscaleIPs": self.me.addresses if up else None,
            "Self": self.me.as_peer() if up else attrs.evolve(self.me, addresses=[]).as_peer(),
            "Health": self.health or None,
            "MagicDNSSuffix": SUFFIX if up else "",
            "CurrentTailnet": {"Name": "example.com", "MagicDNSSuffix": SUFFIX, "MagicDNSEnabled": True}
            if up
            else None,
            "CertDomains": None,
            "Peer": known if known and peers and up else None,
            "User": {"1": {"ID": 1, "LoginName": self.me.user, "DisplayName": "Ann"}},
        }

    def whois(self, address: str) -> dict[str, Any] | None:
        host = address.rpartition(":")[0].strip("[]") if address.count(":") == 1 or "]" in address else address
        for machine in [self.me, *self.peers]:
            if host in machine.addresses:
                profile = {"ID": 1, "LoginName": machine.login, "DisplayName": "Ann"}
                return {"Node": machine.as_node(), "UserProfile": profile, "CapMap": None}
        return None

    def respond(self, head: bytes) -> bytes:
        """What a request is answered with."""
        line, *fields = head.decode().split("\r\n")
        method, target, _ = line.split(" ")
        self.asked.append(target)
        hosts = [field.partition(":")[2].strip() for field in fields if field.lower().startswith("host:")]
        if method != "GET" or hosts != [HOST]:
            return response(403, b"invalid localapi request\n")
        url = urlsplit(target)
        query = parse_qs(url.query)
        match url.path:
            case "/localapi/v0/status":
                return in_chunks(as_json(self.status(peers=query.get("peers") != ["false"])))
            case "/localapi/v0/whois" if "addr" in query:
                found = self.whois(query["addr"][0])
                return response(404, b"no match for IP:port\n") if found is None else response(200, as_json(found))
            case "/localapi/v0/whois":
                return response(400, b"missing 'addr' parameter\n")
            case _:
                return response(404, b"404 page not found\n")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one answer."""
        with closing_hard(writer), suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            if self.answer is None:
                writer.write(self.respond(head.removesuffix(b"\r\n\r\n")))
            else:
                self.asked.append(head.decode().split(" ")[1])
                done = self.answer(writer)
                if asyncio.iscoroutine(done):
                    await done
            await writer.drain()
            writer.close()
            await writer.wait_closed()


@contextmanager
def closing_hard(writer: asyncio.StreamWriter) -> Generator[None]:
    """However it ends, nothing of the connection stays."""
    try:
        yield
    finally:
        writer.transport.abort()


def as_json(value: object) -> bytes:
    return json.dumps(value, indent="\t").encode()


def response(status: int, body: bytes) -> bytes:
    """As Go's net/http writes it where the length is known."""
    kind = "application/json" if status == 200 else "text/plain; charset=utf-8"
    return f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def in_chunks(body: bytes, size: int = 1000) -> bytes:
    """As Go's net/http writes what is long."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""])
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks


# Manners: ways to answer badly ----------------------------------------------------------------------------------------


async def hang(_writer: asyncio.StreamWriter) -> None:
    """Say nothing, for ever."""
    await asyncio.Event().wait()


def saying(answer: bytes) -> Callable[[asyncio.StreamWriter], object]:
    """Answer with these bytes, and close."""
    return lambda writer: writer.write(answer)


async def endless(writer: asyncio.StreamWriter) -> None:
    """A body that does not end."""
    writer.write(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n"\r\n')
    while not writer.is_closing():
        writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        await writer.drain()


async def trickle(writer: asyncio.StreamWriter) -> None:
    """One byte now and then, for ever: no single read waits long."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b" ")
        await asyncio.sleep(0.005)


@asynccontextmanager
async def running(daemon: Tailscaled, path: Path) -> AsyncGenerator[str]:
    """The fake at a socket, until the end of the block; the socket's path."""
    served: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(daemon.serve(reader, writer))
        served.add(task)
        task.add_done_callback(served.discard)

    server = await asyncio.start_unix_server(accept, path)
    try:
        yield str(path)
    finally:
        server.close()
        for task in list(served):
            task.cancel()
        await asyncio.gather(*served, return_exceptions=True)


def machine(text: str) -> FakeMachine:
    """NAME=ADDRESS[,tag:...]"""
    name, _, rest = text.partition("=")
    address, *tags = rest.split(",")
    return FakeMachine(name, [address], tags)


async def main(socket: str, machines: Iterable[str]) -> None:
    me, *peers = [machine(text) for text in machines]
    async with running(Tailscaled(me, peers), Path(socket)):
        print("listening", flush=True)  # noqa: T201  # who started it waits for this
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
