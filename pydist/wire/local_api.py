"""What tailscaled tells of its tailnet, out of the JSON of its LocalAPI.

Source: Tailscale's Go packages `ipn/ipnstate` (status) and `client/tailscale/apitype` with `tailcfg` (whois). Of their
many fields these few are read. What Go has as an empty list comes as null.

tailscaled itself is believed, within limits. What it hands on from other machines is not: one whose entry makes no
sense is left out, and the others stay.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any, Final, cast

import attrs

from pydist.errors import DecodeError

STATES: Final = frozenset(
    {"NoState", "InUseOtherUser", "NeedsLogin", "NeedsMachineAuth", "Stopped", "Starting", "Running"}
)
RUNNING: Final = "Running"
MAX_TEXT: Final = 255
"""Characters in a name or a tag."""
MAX_LIST: Final = 100
"""Addresses or tags of one machine."""


@attrs.frozen
class Machine:
    """A machine of the tailnet."""

    name: str
    """Its MagicDNS name in lower case, without the final dot: `beta.tail1234.ts.net`. The tailnet gives it to one
    machine alone."""
    addresses: tuple[str, ...]
    """Its addresses in the tailnet, IPv4 first as tailscaled has them."""
    host_name: str = ""
    """What the machine calls itself. Several may say the same, and each says what it likes."""
    tags: tuple[str, ...] = ()
    online: bool = False
    """Whether it is connected to the tailnet's control plane."""
    expired: bool = False
    """Whether its node key has expired: nothing passes then until somebody logs in there."""

    @property
    def label(self) -> str:
        """The first part of its MagicDNS name."""
        return self.name.partition(".")[0]


@attrs.frozen
class Tailnet:
    """How tailscaled stands, and whom it knows."""

    state: str
    """Its BackendState, one of `STATES`."""
    addresses: tuple[str, ...] = ()
    """The addresses of this machine."""
    me: Machine | None = None
    suffix: str = ""
    """The MagicDNS suffix of the tailnet; the names of machines that others share with it have another one."""
    peers: tuple[Machine, ...] = ()
    health: tuple[str, ...] = ()
    """What tailscaled complains about."""
    tun: bool = True
    """Whether there is a network interface; without one no program can listen at the addresses."""

    def short_name(self, machine: Machine) -> str:
        """Its label, which is a name here; the long name of a machine of another tailnet."""
        return machine.label if machine.name == f"{machine.label}.{self.suffix}" else machine.name


@attrs.frozen
class Caller:
    """Who stands behind a connection, as whois tells: a machine, and who has logged in there.

    The user of a tagged machine is `tagged-devices`.
    """

    machine: Machine
    user: str = ""


def decode_status(body: bytes) -> Tailnet:
    """The answer of /localapi/v0/status. Raises DecodeError."""
    status = _decoded(body)
    state = _text(status.get("BackendState"))
    if state not in STATES:
        raise DecodeError(f"a status whose BackendState is {_shown(status.get('BackendState'))}")
    me = status.get("Self")
    # The tailnet's own entry is the newer place; tailscaled fills both.
    suffix = _object(status.get("CurrentTailnet"), "CurrentTailnet").get("MagicDNSSuffix", status.get("MagicDNSSuffix"))
    return Tailnet(
        state,
        _addresses(status.get("TailscaleIPs")),
        None if me is None else _machine(me),
        _name(suffix),
        tuple(_readable(_object(status.get("Peer"), "Peer").values())),
        tuple(filter(None, map(_text, _list(status.get("Health"))))),
        status.get("TUN") is not False,
    )


def decode_whois(body: bytes) -> Caller:
    """The answer of /localapi/v0/whois. Raises DecodeError."""
    answer = _decoded(body)
    node = _object(answer.get("Node"), "Node")
    addresses = [_without_length(address) for address in _list(node.get("Addresses"))]
    machine = Machine(
        _name(node.get("Name")),
        _addresses(addresses),
        _text(_object(node.get("Hostinfo"), "Hostinfo").get("Hostname")),
        tuple(_texts(node.get("Tags"))),
        online=node.get("Online") is True,
    )
    if not machine.name:
        raise DecodeError("a whois whose Node has no name")
    return Caller(machine, _text(_object(answer.get("UserProfile"), "UserProfile").get("LoginName")))


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise DecodeError(f"no JSON: {error}") from error
    if not isinstance(value, dict):
        raise DecodeError(f"a JSON value that is no object: {_shown(value)}")
    return cast("dict[str, Any]", value)


def _object(value: Any, what: str) -> dict[str, Any]:
    """The object; an empty one for null."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise DecodeError(f"a {what} that is no object: {_shown(value)}")
    return cast("dict[str, Any]", value)


def _machine(peer: Any) -> Machine:
    entry = _object(peer, "machine")
    return Machine(
        _name(entry.get("DNSName")),
        _addresses(entry.get("TailscaleIPs")),
        _text(entry.get("HostName")),
        tuple(_texts(entry.get("Tags"))),
        online=entry.get("Online") is True,
        expired=entry.get("Expired") is True,
    )


def _readable(peers: Any) -> Iterator[Machine]:
    """Those of which anything can be known."""
    for peer in peers:
        try:
            machine = _machine(peer)
        except DecodeError:
            continue
        if machine.name and machine.addresses:
            yield machine


def _addresses(value: Any) -> tuple[str, ...]:
    try:
        return tuple(str(ip_address(text)) for text in _texts(value))
    except ValueError as error:
        raise DecodeError(f"addresses that are none: {_shown(value)}") from error


def _without_length(prefix: Any) -> Any:
    """100.64.0.1 of 100.64.0.1/32."""
    return prefix.partition("/")[0] if isinstance(prefix, str) else prefix


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise DecodeError(f"no list: {_shown(value)}")
    items = cast("list[Any]", value)  # type: ignore[redundant-cast]  # pyright knows less here than mypy
    if len(items) > MAX_LIST:
        raise DecodeError(f"a list of {len(items)}, where {MAX_LIST} is the limit")
    return items


def _texts(value: Any) -> Iterator[str]:
    for item in _list(value):
        text = _text(item)
        if not text:
            raise DecodeError(f"{_shown(item)} where a text should be")
        yield text


def _text(value: Any) -> str:
    """The text, or none where it is no text that a log could hold."""
    return value if isinstance(value, str) and len(value) <= MAX_TEXT and value.isprintable() else ""


def _name(value: Any) -> str:
    return _text(value).rstrip(".").lower()


def _shown(value: Any) -> str:
    return repr(value)[:80]
