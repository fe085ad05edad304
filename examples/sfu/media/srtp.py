"""SRTP and SRTCP of one peer (RFC 3711, RFC 7714): libsrtp by way of pylibsrtp."""

from __future__ import annotations

from typing import Any, Final, cast

import attrs
from pylibsrtp import Error, Policy, Session

# libsrtp's constants, which pylibsrtp leaves without types.
_constants: Final = cast("Any", Policy)
_REPLAY_WINDOW: Final = 1024
MAX_PLAIN: Final = 1352
"""pylibsrtp works in a buffer of 1,500 bytes and keeps 148 of them for what protection may add."""


class SrtpError(ValueError):
    """A packet that can't be opened: forged, replayed, or damaged."""


@attrs.frozen
class Profile:
    """A protection profile by its name in OpenSSL; sizes as in RFC 5764 section 4.1.2 and RFC 7714 section 14.2."""

    name: str
    policy: int
    key_size: int
    salt_size: int


PROFILES: Final = {
    profile.name: profile
    for profile in (
        Profile("SRTP_AEAD_AES_128_GCM", _constants.SRTP_PROFILE_AEAD_AES_128_GCM, 16, 12),
        Profile("SRTP_AES128_CM_SHA1_80", _constants.SRTP_PROFILE_AES128_CM_SHA1_80, 16, 14),
    )
}
"""The one we like best stands first; GCM costs half of what CM with SHA-1 does."""


@attrs.frozen
class Keys:
    """What the handshake agreed upon: key and salt of each direction."""

    profile: Profile
    remote: bytes = attrs.field(repr=False)
    local: bytes = attrs.field(repr=False)


class Srtp:
    """Opens what the peer sends, and seals what is sent to it."""

    def __init__(self, keys: Keys) -> None:
        self._inbound = Session(_policy(keys.profile, keys.remote, _constants.SSRC_ANY_INBOUND))
        self._outbound = Session(_policy(keys.profile, keys.local, _constants.SSRC_ANY_OUTBOUND))

    def open_rtp(self, packet: bytes) -> bytes:
        """The plain packet. Raises SrtpError."""
        try:
            return self._inbound.unprotect(packet)
        except (Error, ValueError) as error:
            raise SrtpError(str(error)) from error

    def open_rtcp(self, packet: bytes) -> bytes:
        """The plain compound packet. Raises SrtpError."""
        try:
            return self._inbound.unprotect_rtcp(packet)
        except (Error, ValueError) as error:
            raise SrtpError(str(error)) from error

    def seal_rtp(self, packet: bytes) -> bytes:
        """The protected packet; the plain one has at most `MAX_PLAIN` bytes."""
        return self._outbound.protect(packet)

    def seal_rtcp(self, compound: bytes) -> bytes:
        """The protected compound packet; the plain one has at most `MAX_PLAIN` bytes."""
        return self._outbound.protect_rtcp(compound)


def _policy(profile: Profile, key: bytes, direction: int) -> Policy:
    policy = Policy(key=key, ssrc_type=direction, srtp_profile=profile.policy)
    policy.window_size = _REPLAY_WINDOW
    return policy
