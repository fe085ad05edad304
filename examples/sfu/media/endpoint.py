"""One browser: ICE-lite, DTLS and SRTP. Datagrams and `now` in, plain packets and datagrams out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, TypeAlias

import attrs

from examples.sfu.media import stun
from examples.sfu.media.dtls import Dtls, DtlsError
from examples.sfu.media.srtp import MAX_PLAIN, Srtp, SrtpError
from examples.sfu.media.stun import Address, StunMessage
from examples.sfu.media.tracks import Member

CONSENT_TIMEOUT: Final = 15.0
"""Seconds without an authentic packet. Browsers check every 5 s at least; RFC 7675 gives consent 30 s."""

Emit: TypeAlias = Callable[[bytes, Address], None]
State: TypeAlias = Literal["new", "connected", "closed"]


@attrs.frozen
class Credentials:
    """What this node calls itself towards one browser."""

    ufrag: str
    password: bytes = attrs.field(repr=False)

    @classmethod
    def draw(cls, entropy: Callable[[int], bytes]) -> Credentials:
        """New ones: 64 and 128 bits (RFC 8839 section 5.4 asks for 24 and 128)."""
        return cls(entropy(8).hex(), entropy(16).hex().encode())


class Endpoint:
    """A browser's transport. What it can't understand costs it nothing but the time it took to look."""

    def __init__(
        self,
        member: Member,
        credentials: Credentials,
        dtls: Dtls,
        *,
        remote_ufrag: str,
        emit: Emit,
        now: float,
    ) -> None:
        self.member = member
        self.credentials = credentials
        self.state: State = "new"
        self.reason = ""
        """Why it is closed."""
        self.address: Address | None = None
        """Where it is written to: the first that has shown that it knows the password, then the nominated one."""
        self._username = f"{credentials.ufrag}:{remote_ufrag}".encode()
        self._dtls = dtls
        self._dtls_at: float | None = None
        self._srtp: Srtp | None = None
        self._emit = emit
        self._heard_at = now

    def receive_check(self, request: StunMessage, address: Address, now: float) -> bool:
        """Answer a connectivity check. False: it is not authentic, and `address` means nothing."""
        authentic = request.attributes.get(stun.USERNAME) == self._username and stun.is_authentic(
            request, self.credentials.password
        )
        if authentic:
            self._heard_at = now
            if self.address is None or stun.USE_CANDIDATE in request.attributes:
                self.address = address
            self._emit(stun.binding_success(request.transaction, address, self.credentials.password), address)
        return authentic

    def receive_dtls(self, datagram: bytes, now: float) -> bool:
        """Go on with the handshake. True: it is done just now."""
        before = self._srtp
        try:
            self._send_all(self._dtls.receive(datagram))
        except DtlsError as error:
            self._end(str(error))
            return False
        if before is None and self._dtls.keys is not None:
            self._srtp = Srtp(self._dtls.keys)
            self.state = "connected"
        if self._dtls.closed:
            self._end("the client has closed the connection")
        self._set_dtls_timer(now)
        return before is None and self._srtp is not None

    def open_rtp(self, packet: bytes, now: float) -> bytes | None:
        """The plain packet, None for a forged one or one that comes before the keys."""
        return self._open(packet, self._srtp.open_rtp, now) if self._srtp else None

    def open_rtcp(self, packet: bytes, now: float) -> bytes | None:
        """The plain compound packet, None for a forged one or one that comes before the keys."""
        return self._open(packet, self._srtp.open_rtcp, now) if self._srtp else None

    def _open(self, packet: bytes, opener: Callable[[bytes], bytes], now: float) -> bytes | None:
        try:
            plain = opener(packet)
        except SrtpError:
            return None
        self._heard_at = now
        return plain

    def send_rtp(self, packet: bytes) -> None:
        """Protect and send; before the keys nothing is sent, and a packet that is too long for the path is not."""
        if self._srtp is not None and len(packet) <= MAX_PLAIN:
            self._send(self._srtp.seal_rtp(packet))

    def send_rtcp(self, compound: bytes) -> None:
        """Protect and send; before the keys nothing is sent, and a compound that is too long for the path is not."""
        if self._srtp is not None and len(compound) <= MAX_PLAIN:
            self._send(self._srtp.seal_rtcp(compound))

    def handle_timer(self, now: float) -> None:
        """Repeat what the handshake lost, and notice silence."""
        if now - self._heard_at >= CONSENT_TIMEOUT:
            self._end(f"nothing was heard from the client for {CONSENT_TIMEOUT:.0f} s")
        elif self._dtls_at is not None and now >= self._dtls_at:
            try:
                self._send_all(self._dtls.handle_timer())
            except DtlsError as error:
                self._end(str(error))
            self._set_dtls_timer(now)

    def close(self) -> None:
        """Say good-bye to the client; nothing is sent afterwards."""
        if self.state != "closed":
            self._send_all(self._dtls.close())
            self._end("closed")

    def _set_dtls_timer(self, now: float) -> None:
        timeout = self._dtls.timeout()
        self._dtls_at = None if timeout is None else now + timeout

    def _send_all(self, datagrams: list[bytes]) -> None:
        for datagram in datagrams:
            self._send(datagram)

    def _send(self, datagram: bytes) -> None:
        if self.address is not None:
            self._emit(datagram, self.address)

    def _end(self, reason: str) -> None:
        self.state = "closed"
        self.reason = self.reason or reason
        self._srtp = None
