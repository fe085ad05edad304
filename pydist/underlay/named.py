"""Underlays by name, as a command line has them."""

from __future__ import annotations

from pydist.errors import NodeStartError
from pydist.underlay import Underlay
from pydist.underlay.loopback import LoopbackUnderlay
from pydist.underlay.tailscale import TailscaleUnderlay
from pydist.underlay.wireguard import WireGuardUnderlay


def underlay_named(spec: str, patience: float = 60.0) -> Underlay:
    """`loopback`, `tailscale`, `wireguard` for the first interface that there is, or `wireguard:wg0`.

    Args:
        spec: one of these.
        patience: seconds that it is waited for.

    Raises:
        NodeStartError: there is no such underlay.
    """
    kind, colon, interface = spec.partition(":")
    match kind, interface:
        case "loopback", "" if not colon:
            return LoopbackUnderlay()
        case "tailscale", "" if not colon:
            return TailscaleUnderlay(patience=patience)
        case "wireguard", _ if interface or not colon:
            return WireGuardUnderlay(interface or None, patience=patience)
        case _:
            raise NodeStartError(
                f"{spec!r} is no underlay: there are loopback, tailscale, wireguard and wireguard:INTERFACE"
            )
