from __future__ import annotations

import os
import resource
import socket
from pathlib import Path

import pytest

from pydist import epmd_sockets
from pydist.epmd_sockets import MANY_FILES, allow_many_files, listen, systemd_offers, systemd_sockets, tell_systemd
from pydist.errors import PortInUse, PortMapperError


def test_a_port_in_use_is_named_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=f"port {port} of 127.0.0.1 is in use.* choose another port with -port"):
            listen([], port)


@pytest.mark.parametrize("address", ["0.0.0.0", "::"])  # noqa: S104  # the point of the test
def test_all_addresses_at_once_need_a_flag(address: str) -> None:
    with pytest.raises(PortMapperError, match="--allow-any-address"):
        listen([address], 0)
    sockets = listen([address], 0, allow_any=True)
    assert address in [sock.getsockname()[0] for sock in sockets]
    for sock in sockets:
        sock.close()


@pytest.mark.parametrize(
    ("address", "complaint"), [("192.0.2.1", "name an address that this host has"), ("here", "'here' is no IP address")]
)
def test_an_address_that_is_not_ours_is_refused(address: str, complaint: str) -> None:
    with pytest.raises(PortMapperError, match=complaint):
        listen([address], 0)


def test_an_address_named_twice_is_bound_once() -> None:
    sockets = listen(["127.0.0.1", "127.0.0.2", "127.0.0.2"], 0)
    addresses = [sock.getsockname()[0] for sock in sockets]
    for sock in sockets:
        sock.close()
    assert addresses == ["127.0.0.1", "::1", "127.0.0.2"]


# What systemd has opened.


def _offer(descriptors: int, pid: int) -> dict[str, str]:
    return {"LISTEN_FDS": str(descriptors), "LISTEN_PID": str(pid), "LISTEN_FDNAMES": "epmd.socket"}


def test_sockets_of_systemd_are_for_the_process_that_they_name() -> None:
    assert systemd_offers(_offer(1, os.getpid()))
    assert not systemd_offers(_offer(1, os.getppid()))
    assert not systemd_offers({})


@pytest.mark.parametrize("environment", [{}, _offer(1, os.getppid()), _offer(0, os.getpid())])
def test_where_systemd_has_given_no_sockets_that_is_an_error(environment: dict[str, str]) -> None:
    with pytest.raises(PortMapperError, match="systemd has given no sockets"):
        systemd_sockets(environment)


def test_a_socket_of_systemd_is_taken_and_the_variables_go(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as given:
        monkeypatch.setattr(epmd_sockets, "FIRST_SYSTEMD_DESCRIPTOR", os.dup(given.fileno()))
        environment = _offer(1, os.getpid()) | {"HOME": "/"}
        [taken] = systemd_sockets(environment)
        with taken:
            assert (taken.getsockname(), environment) == (given.getsockname(), {"HOME": "/"})
            assert (taken.gettimeout(), taken.get_inheritable()) == (0.0, False)


def test_what_is_no_listening_tcp_socket_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file, pytest.raises(PortMapperError, match="is no socket: Socket operation"):
        epmd_sockets._adopt(os.dup(file.fileno()))
    kinds = [
        (socket.AF_INET, socket.SOCK_STREAM),
        (socket.AF_INET, socket.SOCK_DGRAM),
        (socket.AF_UNIX, socket.SOCK_STREAM),
    ]
    for family, kind in kinds:
        with socket.socket(family, kind) as sock, pytest.raises(PortMapperError, match="no listening TCP socket: use"):
            epmd_sockets._adopt(os.dup(sock.fileno()))


@pytest.mark.parametrize("form", ["{path}", "@pydist-{pid}"])
def test_who_started_it_is_told_how_it_stands(form: str, tmp_path: Path) -> None:
    address = form.format(path=tmp_path / "notify", pid=os.getpid())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(address.replace("@", "\0"))
        tell_systemd({"NOTIFY_SOCKET": address}, "READY=1")
        tell_systemd({}, "to nobody")
        receiver.settimeout(5)
        assert receiver.recv(100) == b"READY=1"


def test_as_many_files_may_be_open_as_the_administrator_permits() -> None:
    allowed = allow_many_files()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert (allowed, allow_many_files()) == (soft, soft)
    assert soft >= (MANY_FILES if hard == resource.RLIM_INFINITY else min(hard, MANY_FILES))
