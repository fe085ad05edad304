"""The sockets of a port mapper: it binds them, or systemd has; and how many files it may have open."""

from __future__ import annotations

import errno
import ipaddress
import os
import resource
import socket
from collections.abc import MutableMapping, Sequence
from contextlib import ExitStack
from typing import Final

from pydist.core.addresses import kind_of
from pydist.errors import PortInUse, PortMapperError, PydistError

BACKLOG: Final = 1024
"""Connections that the kernel keeps until they are taken."""
FIRST_SYSTEMD_DESCRIPTOR: Final = 3
"""systemd: `SD_LISTEN_FDS_START`."""
MANY_FILES: Final = 65_536


def allow_many_files() -> int:
    """Raise the limit of open files to as many as the administrator permits, 65,536 at most; what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MANY_FILES if hard == resource.RLIM_INFINITY else min(hard, MANY_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted if soft == resource.RLIM_INFINITY else max(soft, wanted)


def listen(addresses: Sequence[str], port: int, *, allow_any: bool = False) -> list[socket.socket]:
    """Sockets that listen on the loopback addresses, and on those named.

    Args:
        addresses: further IP addresses of this host.
        port: the same for all; 0 takes a free one.
        allow_any: take public addresses, and `0.0.0.0` and `::`, which open the port mapper to every network that the
            host is on.

    Raises:
        PortInUse: another program listens on the port.
        PortMapperError: an address is none of this host's, or is public or means all of them without `allow_any`.
    """
    named = [_checked(address, allow_any=allow_any) for address in addresses]
    always = [own for own, any_address in (("127.0.0.1", "0.0.0.0"), ("::1", "::")) if any_address not in named]  # noqa: S104  # compared, not bound
    sockets: list[socket.socket] = []
    with ExitStack() as undo:
        for address in dict.fromkeys([*always, *named]):
            try:
                sockets.append(undo.enter_context(_bind(address, port)))
            except OSError as error:
                # A host without IPv6 has no ::1, and needs none.
                if address != "::1" or error.errno == errno.EADDRINUSE:
                    raise _bind_error(address, port, error) from error
            else:
                port = sockets[-1].getsockname()[1]
        undo.pop_all()
    return sockets


def _checked(address: str, *, allow_any: bool) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        raise PortMapperError(
            f"{address!r} is no IP address: name addresses of this host, with commas between"
        ) from None
    if parsed.is_unspecified and not allow_any:
        raise PortMapperError(
            f"{address} would open the port mapper to every network that this host is on: name the addresses it is to "
            "listen on, or add --allow-any-address where a firewall stands before it"
        )
    if kind_of(parsed) == "public" and not allow_any:
        raise PortMapperError(
            f"{address} is a public address, and anybody could ask there: name an address of a private network, or add "
            "--allow-any-address where a firewall stands before it"
        )
    return str(parsed)


def _bind(address: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def listen_also(address: str, port: int) -> socket.socket:
    """A socket that listens at one more address. Raises PortInUse, PortMapperError."""
    try:
        return _bind(address, port)
    except OSError as error:
        raise _bind_error(address, port, error) from error


def _bind_error(address: str, port: int, error: OSError) -> PydistError:
    if error.errno == errno.EADDRINUSE:
        return PortInUse(
            f"port {port} of {address} is in use, perhaps by a port mapper that runs already "
            f"(`python -m pydist.epmd -names -port {port}` asks it): use that one, or choose another port with -port "
            "or ERL_EPMD_PORT"
        )
    return PortMapperError(
        f"can't listen on port {port} of {address}: {error.strerror}: name an address that this host has"
    )


def systemd_offers(environment: MutableMapping[str, str]) -> bool:
    """Whether systemd, or who speaks like it, has opened sockets for this process."""
    return "LISTEN_FDS" in environment and environment.get("LISTEN_PID") == str(os.getpid())


def systemd_sockets(environment: MutableMapping[str, str]) -> list[socket.socket]:
    """The sockets that systemd has opened for this process; `sd_listen_fds(3)`. The variables that tell of them go.

    Raises:
        PortMapperError: there are none, or they are no listening TCP sockets.
    """
    offered = environment.get("LISTEN_FDS", "")
    if not systemd_offers(environment) or not offered.isdecimal() or int(offered) == 0:
        raise PortMapperError(
            "systemd has given no sockets (LISTEN_FDS and LISTEN_PID do not speak of this process): start it through "
            "a socket unit, or leave -systemd out"
        )
    for name in ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"):
        environment.pop(name, None)
    return [_adopt(FIRST_SYSTEMD_DESCRIPTOR + number) for number in range(int(offered))]


def _adopt(descriptor: int) -> socket.socket:
    try:
        sock = socket.socket(fileno=descriptor)
        listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise PortMapperError(
            f"file {descriptor}, which LISTEN_FDS tells of, is no socket: {error.strerror}"
        ) from error
    if not listens or sock.family not in {socket.AF_INET, socket.AF_INET6} or sock.type != socket.SOCK_STREAM:
        sock.close()
        raise PortMapperError(
            f"file {descriptor}, which LISTEN_FDS tells of, is no listening TCP socket: use `ListenStream=` with a "
            "port, and `Accept=no`, in the socket unit"
        )
    sock.setblocking(False)
    sock.set_inheritable(False)
    return sock


def tell_systemd(environment: MutableMapping[str, str], state: str) -> None:
    """Tell who started this service how it stands; `sd_notify(3)`. Nothing where nobody wants to know.

    Args:
        environment: where NOTIFY_SOCKET names the receiver.
        state: `READY=1` and the like.
    """
    address = environment.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        # One that begins with @ has no file.
        sock.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
