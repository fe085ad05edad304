"""Which machine of a tailnet a name means, which of them may come in, and what is wrong with one that is not up."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final

from pydist.errors import NodeStartError, Unreachable
from pydist.wire.local_api import RUNNING, Machine, Tailnet

_REMEDIES: Final = {
    "NoState": "it has just started",
    "InUseOtherUser": "another user of this machine has it",
    "NeedsLogin": "this machine is logged out, or its key has expired: tailscale up",
    "NeedsMachineAuth": "an administrator of the tailnet has to approve this machine",
    "Stopped": "tailscale up",
    "Starting": "it is coming up",
}


def trouble_of(tailnet: Tailnet) -> str | None:
    """Why nothing can be done with it now; None if all is well."""
    if tailnet.state != RUNNING:
        return f"tailscaled is in the state {tailnet.state} ({_REMEDIES[tailnet.state]})"
    return None if tailnet.addresses else "tailscaled is running, and has no address yet"


def machines_of(tailnet: Tailnet) -> tuple[Machine, ...]:
    """All of them, this one first."""
    return tailnet.peers if tailnet.me is None else (tailnet.me, *tailnet.peers)


def machine_named(tailnet: Tailnet, host: str) -> Machine:
    """The machine that a host's name or address means.

    An address; the whole MagicDNS name; its first part, for machines of this tailnet; and at last what a machine calls
    itself, if it is the only one that calls itself so. The tailnet sees to it that the others are of one machine.

    Raises:
        Unreachable: nobody is meant, or it can't be said who.
    """
    wanted = _plain(host)
    machines = machines_of(tailnet)
    for machine in machines:
        if wanted in (*machine.addresses, machine.name, tailnet.short_name(machine)):
            return machine
    called = [machine for machine in machines if machine.host_name.lower() == wanted]
    if len(called) == 1:
        return called[0]
    if called:
        names = ", ".join(sorted(machine.name for machine in called))
        raise Unreachable(f"{len(called)} machines of the tailnet call themselves {host} ({names}): name one of those")
    raise Unreachable(f"no machine of the tailnet has the name or the address {host}: tailscale status lists them")


def _plain(host: str) -> str:
    """As a machine's names and addresses are written."""
    try:
        return str(ip_address(host))
    except ValueError:
        return host.rstrip(".").lower()


def checked_allow(allow: Iterable[str]) -> frozenset[str]:
    """Whom to let in: tags, and names or addresses of machines.

    Raises:
        NodeStartError: there is nobody among them, or one is a node's name.
    """
    if isinstance(allow, str):
        raise NodeStartError(f"allow is a list of machines and tags, not the string {allow!r}")
    entries = frozenset(entry if entry.startswith("tag:") else _plain(entry) for entry in allow)
    for entry in entries:
        if "@" in entry:
            raise NodeStartError(f'allow lets in machines: "beta", or "tag:ops"; {entry!r} is the name of a node')
    if not entries:
        raise NodeStartError("allow is empty: nobody could connect. Leave it out for all machines of the tailnet")
    return entries


def may_come_in(tailnet: Tailnet, allow: frozenset[str] | None) -> frozenset[str]:
    """The addresses of all machines that may: all where `allow` is None. This machine always may."""
    own = frozenset(tailnet.addresses)
    return own.union(*(machine.addresses for machine in tailnet.peers if _allowed(tailnet, machine, allow)))


def _allowed(tailnet: Tailnet, machine: Machine, allow: frozenset[str] | None) -> bool:
    return allow is None or not allow.isdisjoint(
        (*machine.tags, *machine.addresses, machine.name, tailnet.short_name(machine))
    )
