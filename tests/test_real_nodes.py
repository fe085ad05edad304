"""Nodes as they are used: each a Python process of its own, that talk over TCP and die of signals."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pydist.epmd_client import names
from pydist.errors import PortMapperError

pytestmark = pytest.mark.real

IMPORTS = """
import sys
from pydist import *

class Tidy(GenServer):
    async def init(self, name):
        trap_exit(True)
        self.name = name
    async def terminate(self, reason):
        print("terminate", self.name, reason.name, flush=True)

def start(main, short, **options):
    return run(main, name=f"{short}@127.0.0.1", cookie="secret", **options)
"""


class Program:
    """A Python program whose output is read line by line."""

    def __init__(self, path: Path, epmd_port: int) -> None:
        self.seen: list[str] = []
        self.popen = subprocess.Popen(
            [sys.executable, path],
            env=os.environ | {"ERL_EPMD_PORT": str(epmd_port)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def say(self, line: str) -> None:
        """Write a line to its input."""
        assert self.popen.stdin is not None
        self.popen.stdin.write(f"{line}\n")
        self.popen.stdin.flush()

    def until(self, text: str) -> str:
        """The next line in which `text` stands."""
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            self.seen.append(line)
            if text in line:
                return line
        raise AssertionError(f"{text!r} did not come: {''.join(self.seen)}")

    def rest(self) -> str:
        """What comes until its end, which it must reach by itself."""
        rest, _ = self.popen.communicate(timeout=30)
        return rest

    def told(self, rest: str) -> list[str]:
        """Those lines of `rest` that the program has printed itself, and not the log."""
        return [line for line in rest.splitlines() if line.startswith(("terminate", "told"))]


Launch = Callable[[str], Program]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


@pytest.fixture
def epmd_port() -> Iterator[int]:
    """A port mapper of its own."""
    port = free_port()
    port_mapper = subprocess.Popen(
        [sys.executable, "-m", "pydist.epmd", "-port", str(port)], stderr=subprocess.PIPE, text=True
    )
    assert port_mapper.stderr is not None
    assert "port_mapper_listening" in port_mapper.stderr.readline()
    yield port
    port_mapper.terminate()
    port_mapper.communicate(timeout=10)


@pytest.fixture
def launch(tmp_path: Path, epmd_port: int) -> Iterator[Launch]:
    """Starts a program; it is killed at the end, should it still run."""
    programs: list[Program] = []

    def start(code: str) -> Program:
        path = tmp_path / f"program{len(programs)}.py"
        path.write_text(IMPORTS + textwrap.dedent(code))
        programs.append(Program(path, epmd_port))
        return programs[-1]

    yield start
    for program in programs:
        program.popen.kill()
        program.popen.communicate(timeout=10)


SERVE = """
    async def serve():
        pid = await Tidy.start_link("server")
        register("server", pid)
        print("told: serving", flush=True)
        await receive()

    start(serve, "a")
"""


def test_a_killed_program_is_noconnection_and_node_down_to_others(launch: Launch) -> None:
    a = launch(SERVE)
    a.until("serving")
    b = launch("""
        async def watch():
            trap_exit(True)
            monitor_nodes(True)
            ref = monitor(("server", "a@127.0.0.1"))
            print("told:", (await receive(NodeUp)).node, flush=True)
            down = await receive(ref)
            print("told:", down.process, down.reason.name, flush=True)
            print("told:", (await receive(NodeDown)).node, flush=True)

        start(watch, "b")
    """)
    assert b.until("told") == "told: a@127.0.0.1\n"
    a.popen.kill()
    rest = b.rest()
    assert b.told(rest) == ["told: ('server', 'a@127.0.0.1') noconnection", "told: a@127.0.0.1"]
    assert b.popen.returncode == 0


def test_a_killed_program_can_be_started_anew_under_its_name_and_is_found_again(launch: Launch) -> None:
    a = launch(SERVE)
    a.until("serving")
    b = launch("""
        async def ask():
            monitor_nodes(True)
            old = monitor(("server", "a@127.0.0.1"))
            await receive(NodeUp)
            print("told: up", flush=True)
            await receive(old)
            print("told: down", flush=True)
            while True:
                ref = monitor(("server", "a@127.0.0.1"))
                try:
                    await receive(ref, 0.2)
                except TimeoutError:
                    print("told: found again", flush=True)
                    return

        start(ask, "b")
    """)
    b.until("told: up")
    a.popen.kill()
    b.until("told: down")
    launch(SERVE).until("serving")
    assert b.told(b.rest()) == ["told: found again"]


COLLECT = """
    async def collect():
        register("collect", self_pid())
        print("told: ready", flush=True)
        numbers = [(await receive(tuple))[0] for _ in range(200)]
        print("told: in order", numbers == list(range(200)), flush=True)

    start(collect, "b")
"""


def test_senders_to_a_program_that_is_stopped_are_held_others_go_on_and_all_arrives_in_order(launch: Launch) -> None:
    b = launch(COLLECT)
    b.until("ready")
    a = launch("""
        import asyncio

        async def sends():
            for number in range(200):
                send(("collect", "b@127.0.0.1"), (number, b"x" * 100_000))
                await asyncio.sleep(0)
            print("told: all sent", flush=True)

        async def watch():
            monitor_nodes(True)
            connect("b@127.0.0.1")
            await receive(NodeUp)
            print("told: connected", flush=True)
            await asyncio.to_thread(sys.stdin.readline)
            system_monitor(busy_dist=True)
            sender, ref = spawn(sends, monitor=True)
            print("told:", (await receive(BusyNode)).node, flush=True)
            for _ in range(20):
                await asyncio.sleep(0.01)
            print("told:", process_info(sender).status, flush=True)
            await receive(ref)
            await asyncio.sleep(1)

        start(watch, "a")
    """)
    a.until("connected")
    b.popen.send_signal(signal.SIGSTOP)
    a.say("go")
    a.until("told: b@127.0.0.1")
    a.until("told: suspended")
    b.popen.send_signal(signal.SIGCONT)
    b.until("told: in order True")
    assert a.told(a.rest()) == ["told: all sent"]


TREE = """
    async def serve():
        await Supervisor.start_link([child(Tidy, "first", id="first"), child(Tidy, "second", id="second")])
        print("told: serving", flush=True)
        await receive()
        print("told: not reached", flush=True)

    start(serve, "a")
"""


@pytest.mark.parametrize(
    ("number", "status", "last"),
    [(signal.SIGTERM, 128 + signal.SIGTERM, ""), (signal.SIGINT, -signal.SIGINT, "KeyboardInterrupt")],
    ids=["SIGTERM", "SIGINT"],
)
def test_a_signal_stops_the_supervised_in_reverse_order_and_frees_the_name(
    launch: Launch, number: signal.Signals, status: int, last: str
) -> None:
    a = launch(TREE)
    a.until("serving")
    a.popen.send_signal(number)
    rest = a.rest()
    assert a.told(rest) == ["terminate second shutdown", "terminate first shutdown"]
    assert "node_stopped" in rest
    assert a.popen.returncode == status, rest
    assert last in rest
    assert ("Traceback" in rest) == (number == signal.SIGINT)
    launch(SERVE).until("serving")


def test_a_second_signal_does_not_wait_for_clean_up(launch: Launch) -> None:
    a = launch("""
        async def stubborn():
            trap_exit(True)
            print("told: serving", flush=True)
            while True:
                print("told:", (await receive()).reason.name, flush=True)

        start(stubborn, "a")
    """)
    a.until("serving")
    a.popen.terminate()
    a.until("told: shutdown")
    began = time.monotonic()
    a.popen.terminate()
    a.rest()
    assert time.monotonic() - began < 5
    assert a.popen.returncode == 128 + signal.SIGTERM


def test_run_gives_what_main_returns_and_raises_what_it_raises(launch: Launch) -> None:
    a = launch("""
        async def give():
            return 5

        async def fail():
            raise LookupError("not here")

        print("told:", start(give, "a"), flush=True)
        try:
            start(fail, "a")
        except LookupError as error:
            print("told:", repr(error), flush=True)
        try:
            async def leave():
                raise Exit("leaving")
            start(leave, "a")
        except Exit as error:
            print("told:", repr(error.reason), flush=True)
    """)
    rest = a.rest()
    assert a.told(rest) == ["told: 5", "told: LookupError('not here')", "told: 'leaving'"], rest
    assert a.popen.returncode == 0


def test_two_programs_of_one_name_the_second_says_what_to_do(launch: Launch) -> None:
    launch(SERVE).until("serving")
    second = launch(SERVE)
    rest = second.rest()
    assert "NodeNameTaken" in rest.splitlines()[-1]
    assert "a living node has it, so stop that one or choose another name" in rest.splitlines()[-1]
    assert second.popen.returncode == 1


def test_a_wrong_cookie_is_said_on_both_sides(launch: Launch) -> None:
    a = launch(SERVE)
    a.until("serving")
    b = launch("""
        class Hello(Request[int]):
            pass

        async def ask():
            try:
                await call(("server", "a@127.0.0.1"), Hello())
            except NodeDisconnected as error:
                print("told:", error.reason, flush=True)

        run(ask, name="b@127.0.0.1", cookie="another")
    """)
    rest = b.rest()
    assert b.told(rest) == ["told: ('nodedown', 'a@127.0.0.1')"]
    assert "the peer closed after our proof: most likely its cookie is another" in rest
    assert "the peer has another cookie" in a.until("handshake_refused")


def test_the_first_node_starts_a_port_mapper_soon_and_the_second_uses_it(tmp_path: Path) -> None:
    port = free_port()
    path = tmp_path / "program.py"
    path.write_text(
        IMPORTS
        + textwrap.dedent("""
        import asyncio, time

        async def main():
            for short in ("a", "b"):
                began = time.monotonic()
                node = Node(f"{short}@127.0.0.1", cookie="secret")
                await node.start()
                print("told:", time.monotonic() - began, flush=True)
                await node.stop()

        asyncio.run(main())
        """)
    )
    program = Program(path, port)
    try:
        rest = program.rest()
        first, second = [float(line.split()[1]) for line in program.told(rest)]
        assert (first < 5.0, second < 0.5) == (True, True), rest
        assert program.popen.returncode == 0
    finally:
        killed = subprocess.run(
            [sys.executable, "-m", "pydist.epmd", "-kill", "-port", str(port)],
            capture_output=True,
            text=True,
            check=False,
        )
    assert killed.stdout == "Killed\n"
    with pytest.raises(PortMapperError):
        asyncio.run(names(epmd_port=port))


SERVICE = """
    class Database(Application):
        name = "database"

        async def start(self):
            return await Supervisor.start_link([child(Tidy, "database", name="worker")], intensity=0)

    class Shop(Application):
        name = "shop"
        applications = ["database"]

        async def start(self):
            print("told: serving", flush=True)
            return await Supervisor.start_link([child(Tidy, "shop")])

    run(serve_applications, [Shop, Database], name="a@127.0.0.1", cookie="secret")
"""


def test_a_signal_stops_applications_in_reverse_order(launch: Launch) -> None:
    a = launch(SERVICE)
    a.until("serving")
    a.popen.terminate()
    rest = a.rest()
    assert a.told(rest) == ["terminate shop shutdown", "terminate database shutdown"]
    assert (a.popen.returncode, "Traceback" in rest) == (128 + signal.SIGTERM, False), rest


def test_the_end_of_a_permanent_application_ends_the_program_with_an_error_that_says_so(launch: Launch) -> None:
    a = launch(SERVICE)
    a.until("serving")
    launch("""
        async def end():
            cast(("worker", "a@127.0.0.1"), "what it does not know")
            await receive(monitor(("worker", "a@127.0.0.1")))

        start(end, "b")
    """).rest()
    rest = a.rest()
    assert "terminate shop shutdown" in a.told(rest)
    assert a.popen.returncode == 1, rest
    assert "ApplicationTerminated: the application 'database' has ended: Atom('shutdown')" in rest
