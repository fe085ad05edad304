from __future__ import annotations

import asyncio
import os
import socket

from examples.sfu.media import stun
from examples.sfu.media.dtls import make_certificate
from examples.sfu.media.plane import Ended, Plane
from examples.sfu.media.sdp import parse_offer
from examples.sfu.media.socket import BATCH, MediaSocket, bind
from examples.sfu.media.tracks import Member

CERTIFICATE = make_certificate()

OFFER = f"""v=0
a=group:BUNDLE 0
m=audio 9 UDP/TLS/RTP/SAVPF 111
a=ice-ufrag:peer
a=ice-pwd:peerpeerpeerpeerpeerpeer
a=fingerprint:sha-256 {CERTIFICATE.fingerprint}
a=setup:actpass
a=mid:0
a=rtcp-mux
a=rtpmap:111 opus/48000/2
"""


class Rig:
    """A plane on a true socket, with one publisher that is about to connect."""

    def __init__(self) -> None:
        self.bound = bind(("127.0.0.1", 0))
        self.address: tuple[str, int] = self.bound.getsockname()
        self.plane = Plane(self.address, CERTIFICATE, os.urandom)
        self.ended: list[Ended] = []
        self.socket = MediaSocket(self.plane, self.bound, self.ended.append)
        member = Member("s1", "publisher", "lobby")
        self.plane.publish(member, parse_offer(OFFER), asyncio.get_running_loop().time())
        self.credentials = self.plane.endpoints.by_session["s1"].credentials

    def check(self) -> bytes:
        username = f"{self.credentials.ufrag}:peer".encode()
        body = (
            stun.USERNAME.to_bytes(2, "big") + len(username).to_bytes(2, "big") + username + bytes(-len(username) % 4)
        )
        head = (
            stun.BINDING_REQUEST.to_bytes(2, "big")
            + len(body).to_bytes(2, "big")
            + stun.MAGIC_COOKIE.to_bytes(4, "big")
        )
        return stun.seal(head + bytes(12) + body, self.credentials.password)


async def test_every_datagram_is_answered_even_when_more_come_than_one_turn_takes() -> None:
    rig, loop = Rig(), asyncio.get_running_loop()
    with rig.bound, socket.socket(type=socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        client.bind(("127.0.0.1", 0))
        for _ in range(BATCH + 1):
            client.sendto(rig.check(), rig.address)
        for _ in range(BATCH + 1):
            answer = stun.parse(await loop.sock_recv(client, 2048))
            assert (answer.kind, stun.is_authentic(answer, rig.credentials.password)) == (stun.BINDING_SUCCESS, True)
        assert (rig.socket.received, rig.socket.sent) == (BATCH + 1, BATCH + 1)
        rig.socket.close()


async def test_a_closed_driver_leaves_the_socket_to_the_next_one() -> None:
    rig, loop = Rig(), asyncio.get_running_loop()
    rig.socket.flush()
    rig.socket.close()
    with rig.bound, socket.socket(type=socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        client.sendto(rig.check(), rig.address)
        following = MediaSocket(rig.plane, rig.bound, rig.ended.append)
        assert stun.parse(await loop.sock_recv(client, 2048)).kind == stun.BINDING_SUCCESS
        assert rig.socket.received == 0
        following.close()


async def test_a_datagram_that_can_not_be_sent_is_lost_and_nothing_else() -> None:
    rig = Rig()
    with rig.bound:
        rig.plane.receive(rig.check(), ("127.0.0.1", 0), asyncio.get_running_loop().time())
        rig.socket.flush()
        assert (rig.socket.sent, rig.ended) == (0, [])
        rig.socket.close()
