"""What is published: codecs and tracks, as SDP and the nodes speak of them."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydist import Message

Kind: TypeAlias = Literal["audio", "video"]
Role: TypeAlias = Literal["publisher", "subscriber"]


class Codec(Message, tag="sfu.codec"):
    """A codec under the payload type that one peer gave it."""

    payload_type: int
    name: str
    """In capitals."""
    clock_rate: int
    channels: int = 1
    parameters: str = ""
    """The value of `a=fmtp`."""
    feedback: tuple[str, ...] = ()
    """The values of `a=rtcp-fb`."""

    def fits(self, other: Codec) -> bool:
        """Whether what one of them encoded the other can decode."""
        mine = (self.name, self.clock_rate, self.channels)
        if mine != (other.name, other.clock_rate, other.channels):
            return False
        return self.name != "H264" or _h264(self) == _h264(other)


def _h264(codec: Codec) -> tuple[str, str]:
    """Packetization mode and profile (RFC 6184 section 8.1); the level may differ."""
    pairs = (part.strip().partition("=") for part in codec.parameters.split(";"))
    parameters = {name.lower(): value for name, _, value in pairs}
    return parameters.get("packetization-mode", "0"), parameters.get("profile-level-id", "420010")[:4].lower()


class Track(Message, tag="sfu.track"):
    """One kind of media of a publisher, with the codec and payload type it is sent in."""

    kind: Kind
    codec: Codec


class Member(Message, tag="sfu.member"):
    """One browser in one channel."""

    session: str
    role: Role
    channel: str
