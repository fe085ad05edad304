"""Child nodes as real programs, on this host and over a real sshd."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.typing import EventDict

from pydist import (
    NORMAL,
    Atom,
    Exited,
    Node,
    NotStarted,
    PeerNode,
    Pid,
    StartError,
    Supervisor,
    nodes,
    peer_info,
    receive,
    stop,
    trap_exit,
    whereis,
    which_children,
)
from tests import children
from tests.helpers import ended
from tests.port_mappers import free_port, until

pytestmark = pytest.mark.real

StartNode = Callable[..., Awaitable[Node]]
SEPARATED = Path("/run/sshd")
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
async def node(start_node: StartNode) -> Node:
    return await start_node("starter", network=None)


async def gone(os_pid: int) -> None:
    """Wait for the end of a program that may be nobody's child here."""
    try:
        descriptor = os.pidfd_open(os_pid)
    except ProcessLookupError:
        return
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(descriptor, ended.set)
    try:
        async with asyncio.timeout(10):
            await ended.wait()
    finally:
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)


def told(os_pid: int, what: str) -> bytes:
    """The command line or the environment of a program, as others may read it."""
    return Path(f"/proc/{os_pid}/{what}").read_bytes()


async def logged(logs: list[EventDict], **facts: Any) -> None:
    """Wait until the log has a line with these facts."""

    async def found() -> bool:
        await asyncio.sleep(0)
        return any(facts.items() <= line.items() for line in logs)

    await until(found)


async def test_a_child_is_up_and_connected_talks_to_the_log_and_goes_when_it_is_stopped(
    node: Node, logs: list[EventDict]
) -> None:
    async def main() -> None:
        pid = await PeerNode.start_link("child", run=children.talk, args=["loud"])
        info = await peer_info(pid)
        assert (info.node, info.state, nodes()) == ("child@127.0.0.1", "running", ["child@127.0.0.1"])
        for stream, line in (("stdout", "out loud"), ("stderr", "err loud")):
            await logged(logs, event="peer_node_output", node=info.node, stream=stream, line=line)
        assert b"secret" not in told(info.os_pid, "cmdline") + told(info.os_pid, "environ")
        await stop(pid)
        assert nodes() == []
        await gone(info.os_pid)

    await node.run(main)


async def is_down(pid: Pid) -> bool:
    return (await peer_info(pid)).state == "down"


async def test_a_child_that_is_killed_ends_its_owner_as_it_was_told_to(node: Node) -> None:
    killed = (Atom("killed_by"), "SIGKILL")

    async def main() -> None:
        trap_exit(True)
        crashing, stopping, going_on = [
            await PeerNode.start_link(peer_down="crash"),
            await PeerNode.start_link(),
            await PeerNode.start_link(peer_down="continue"),
        ]
        for pid in (crashing, stopping, going_on):
            os.kill((await peer_info(pid)).os_pid, signal.SIGKILL)
        ends = [await receive(Exited, 10.0), await receive(Exited, 10.0)]
        assert {end.pid: end.reason for end in ends} == {crashing: killed, stopping: NORMAL}
        await until(lambda: is_down(going_on))
        assert (await peer_info(going_on)).reason == killed
        await stop(going_on)

    await node.run(main)


async def test_a_child_that_is_stuck_is_killed_after_its_grace_and_one_that_floods_is_bounded(
    node: Node, logs: list[EventDict]
) -> None:
    async def main() -> None:
        stuck = await PeerNode.start_link(run=children.get_stuck, grace=0.2)
        await logged(logs, event="peer_node_output", line="stuck")
        await stop(stuck)
        flooding = await PeerNode.start_link(run=children.flood)
        await logged(logs, event="peer_node_output", line="much")
        await stop(flooding)
        assert len(logs) < 2000

    await node.run(main)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"run": "no.such.module:main"}, "the module 'no.such.module' can't be imported: No module named 'no'"),
        ({"run": "tests.children:nobody"}, "the module 'tests.children' has no 'nobody'"),
        ({"applications": [children.Fails]}, "StartError: .*no way"),
        ({"options": {"cooky": 1}}, "TypeError: .*'cooky'"),
        ({"python": "/bin/false"}, "its program has ended: its status is 1"),
        ({"python": "/no/such/python"}, "/no/such/python can't be run: No such file or directory"),
        ({"python": ["sleep", "60"]}, "its program has ended: its status is 1"),
        ({"python": ["sh", "-c", "sleep 60"], "timeout": 0.1}, "it was not up after 0.1 s"),
        ({"cookie": "another"}, "it can't connect to its starter starter@127.0.0.1: its log says why"),
    ],
)
async def test_a_child_that_does_not_come_up_is_an_error_that_says_why(node: Node, options: Any, why: str) -> None:
    async def main() -> None:
        with pytest.raises(StartError, match=f"the child node child@127.0.0.1 did not come up: {why}") as caught:
            await PeerNode.start("child", **options)
        assert isinstance(caught.value.reason, NotStarted)

    await node.run(main)


async def test_applications_are_started_when_a_child_is_up(node: Node, logs: list[EventDict]) -> None:
    async def main() -> None:
        pid = await PeerNode.start_link("child", applications=[children.Starts])
        await logged(logs, event="peer_node_output", line="started")
        await stop(pid)

    await node.run(main)


async def test_one_node_per_core_is_restarted_when_it_is_killed(node: Node) -> None:
    async def main() -> None:
        specs = PeerNode.one_per_core(pinned=True)[:2]
        supervisor = await Supervisor.start_link(specs)
        assert sorted(nodes()) == [f"{spec.id}@127.0.0.1" for spec in specs]
        killed = whereis("core0")
        assert killed is not None
        os.kill((await peer_info(killed)).os_pid, signal.SIGKILL)
        await ended(killed)
        await which_children(supervisor)
        assert "core0@127.0.0.1" in nodes()
        await stop(supervisor)
        assert nodes() == []

    await node.run(main)


async def stopped_with_its_starter(port_mapper: int, *ssh: str) -> None:
    """Start children from a program, kill that, and wait for the end of the children."""
    command = (sys.executable, "-m", "tests.children", str(port_mapper), *ssh)
    starter = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE, stderr=PIPE)
    assert starter.stdout is not None
    assert starter.stderr is not None
    async with asyncio.timeout(30):
        line = await starter.stdout.readline()
        assert line, (await starter.stderr.read()).decode()
    pids = [int(number) for number in line.split()]
    starter.kill()
    await starter.communicate()
    for pid in pids:
        await gone(pid)


async def test_children_end_with_a_starter_that_is_killed_even_those_that_are_stuck(port_mapper: int) -> None:
    await stopped_with_its_starter(port_mapper)


@pytest.fixture
async def ssh(tmp_path: Path) -> AsyncIterator[list[str]]:
    """A real sshd on loopback with keys of its own: where to, and the options of the client."""
    _separate()
    for key in ("host", "user"):
        made = await asyncio.create_subprocess_exec("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / key)
        assert await made.wait() == 0
    port = free_port()
    settings = {
        "ListenAddress": "127.0.0.1",
        "Port": port,
        "HostKey": tmp_path / "host",
        "AuthorizedKeysFile": tmp_path / "user.pub",
        "StrictModes": "no",
        "UsePAM": "no",
        "PermitRootLogin": "yes",
        "PidFile": "none",
    }
    (tmp_path / "config").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    command = ("/usr/sbin/sshd", "-D", "-E", tmp_path / "log", "-f", tmp_path / "config")
    server = await asyncio.create_subprocess_exec(*command)
    await until(lambda: _listens(port))
    options = ["-i", tmp_path / "user", "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={tmp_path}/known"]
    yield ["127.0.0.1", "-F", "none", "-p", str(port), *map(str, options)]
    server.kill()
    await server.wait()


def _separate() -> None:
    """Make the directory that sshd wants: it may have been installed, and never started."""
    if os.getuid() == 0:
        SEPARATED.mkdir(exist_ok=True)


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return False
    writer.close()
    return True


async def test_a_child_is_started_by_ssh_with_all_its_arguments_and_talks_to_the_log(
    node: Node, ssh: list[str], logs: list[EventDict]
) -> None:
    async def main() -> None:
        pid = await PeerNode.start_link(
            "child@127.0.0.1",
            run=children.talk,
            args=['it\'s $HOME; "quoted"'],
            ssh=ssh,
            python=sys.executable,
            python_args=["-X", "it's $(odd)"],
            cwd=ROOT,
            env={"TOLD": "yes"},
        )
        await logged(logs, event="peer_node_output", line='out it\'s $HOME; "quoted"')
        info = await peer_info(pid)
        assert b"it's $(odd)" in told(info.os_pid, "cmdline")
        await stop(pid)
        await gone(info.os_pid)

    await node.run(main)


async def test_children_by_ssh_end_with_a_starter_that_is_killed(port_mapper: int, ssh: list[str]) -> None:
    await stopped_with_its_starter(port_mapper, *ssh)


async def test_a_host_without_ssh_is_an_error_with_the_words_of_ssh(node: Node) -> None:
    async def main() -> None:
        with pytest.raises(StartError, match=r"(?s)its status is 255; its last lines:.*Connection refused"):
            await PeerNode.start("child@127.0.0.1", ssh=["127.0.0.1", "-F", "none", "-p", str(free_port())])

    await node.run(main)
