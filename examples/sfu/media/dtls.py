"""DTLS 1.2 as the server of a WebRTC peer: over memory BIOs, for the keys of SRTP (RFC 5764).

OpenSSL keeps its own clock for retransmissions; `timeout` asks it. A memory BIO is a stream, so what goes out is cut
into records again and packed into datagrams that fit the path.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Final

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from examples.sfu.media.srtp import PROFILES, Keys

MTU: Final = 1200
_RECORD_HEADER: Final = 13
_EXPORTER: Final = b"EXTRACTOR-dtls_srtp"


class DtlsError(Exception):
    """The handshake can't succeed: the peer's fault, or somebody's on the way."""


@attrs.frozen
class Certificate:
    """A self-signed certificate: the peer knows it by the fingerprint that the answer carries."""

    context: SSL.Context
    fingerprint: str
    """SHA-256, as `a=fingerprint` has it."""


def make_certificate() -> Certificate:
    """Make a P-256 key and a certificate for 30 days, and the context that every connection of this node shares."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pydist sfu")])
    today = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - dt.timedelta(days=1))
        .not_valid_after(today + dt.timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    der = certificate.public_bytes(serialization.Encoding.DER)
    return Certificate(_context(key, certificate), fingerprint(der))


def _context(key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> SSL.Context:
    context = SSL.Context(SSL.DTLS_METHOD)
    context.use_certificate(certificate)
    context.use_privatekey(key)
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _accept_certificate)
    context.set_options(SSL.OP_NO_QUERY_MTU)
    context.set_tlsext_use_srtp(b":".join(profile.encode() for profile in PROFILES))
    return context


def _accept_certificate(*_: object) -> bool:
    """Any will do for OpenSSL: which one is right stands in the offer, and is checked when the handshake ends."""
    return True


def fingerprint(der: bytes) -> str:
    """SHA-256 of a certificate as SDP writes it: `AB:CD:...` (RFC 8122)."""
    return hashlib.sha256(der).digest().hex(":").upper()


class Dtls:
    """One peer's handshake. The peer is the client; `expected` is the fingerprint its offer named."""

    def __init__(self, certificate: Certificate, expected: str) -> None:
        self._connection = SSL.Connection(certificate.context, None)
        self._connection.set_accept_state()
        self._connection.set_ciphertext_mtu(MTU)
        self._expected = expected
        self.keys: Keys | None = None
        """Set when the handshake is done."""
        self.closed = False
        """The peer has said good-bye."""

    def receive(self, datagram: bytes) -> list[bytes]:
        """Take a datagram, return those to be sent.

        Raises:
            DtlsError: the handshake failed, or the peer's certificate is not the one in its offer.
        """
        self._connection.bio_write(datagram)
        if self.keys is None:
            self._handshake()
        else:
            self._read()
        return self._outgoing()

    def timeout(self) -> float | None:
        """Seconds until :meth:`handle_timer` is due, None while nothing waits for an answer."""
        return None if self.keys is not None else self._connection.DTLSv1_get_timeout()

    def handle_timer(self) -> list[bytes]:
        """Send the last flight again, if OpenSSL's clock finds it due.

        Raises:
            DtlsError: it has been sent too often.
        """
        try:
            self._connection.DTLSv1_handle_timeout()
        except SSL.Error as error:
            raise DtlsError(f"the peer stopped answering the handshake: {error}") from error
        return self._outgoing()

    def close(self) -> list[bytes]:
        """Say good-bye, if there is anybody to say it to."""
        if self.keys is None:
            return []
        try:
            self._connection.shutdown()
        except SSL.Error:
            return []
        return self._outgoing()

    def _handshake(self) -> None:
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return
        except SSL.Error as error:
            raise DtlsError(f"the handshake failed: {error}") from error
        self._check_certificate()
        self.keys = self._export_keys()

    def _check_certificate(self) -> None:
        certificate = self._connection.get_peer_certificate(as_cryptography=True)
        if certificate is None:
            raise DtlsError("the peer showed no certificate")
        if fingerprint(certificate.public_bytes(serialization.Encoding.DER)) != self._expected:
            raise DtlsError("the peer's certificate is not the one whose fingerprint stands in its offer")

    def _export_keys(self) -> Keys:
        """The keys of SRTP, in the order of RFC 5764 section 4.2: keys, then salts; the client's first."""
        name = self._connection.get_selected_srtp_profile().decode()
        if name not in PROFILES:
            raise DtlsError("the peer and this node have no SRTP profile in common")
        key, salt = PROFILES[name].key_size, PROFILES[name].salt_size
        material = self._connection.export_keying_material(_EXPORTER, 2 * (key + salt))
        keys, salts = material[: 2 * key], material[2 * key :]
        return Keys(PROFILES[name], remote=keys[:key] + salts[:salt], local=keys[key:] + salts[salt:])

    def _read(self) -> None:
        """After the handshake only alerts and repeated flights can come; OpenSSL answers the latter by itself."""
        try:
            self._connection.recv(MTU)
        except SSL.ZeroReturnError:
            self.closed = True
        except SSL.Error:
            return

    def _outgoing(self) -> list[bytes]:
        pending = b""
        try:
            while True:
                pending += self._connection.bio_read(65536)
        except SSL.WantReadError:
            return pack_records(pending)


def pack_records(stream: bytes) -> list[bytes]:
    """Whole records, as many to a datagram as fit the MTU (RFC 6347 section 4.1.1)."""
    datagrams: list[bytes] = []
    at = 0
    while at < len(stream):
        end = at + _RECORD_HEADER + int.from_bytes(stream[at + 11 : at + _RECORD_HEADER], "big")
        record = stream[at:end]
        if datagrams and len(datagrams[-1]) + len(record) <= MTU:
            datagrams[-1] += record
        else:
            datagrams.append(record)
        at = end
    return datagrams
