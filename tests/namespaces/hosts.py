"""Hosts on one machine: Linux namespaces, joined by a switch.

A host has interfaces, processes and mounts of its own. The first process in it is a `cat` whose input this program
holds: when that ends, because the host is closed or because this program is gone, killed or not, the kernel ends all
processes of the host and removes its interfaces. So no run leaves anything behind, and no name has to be unique.

It takes root, or a system that lets everybody make user namespaces.
"""

from __future__ import annotations

import os
import select
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

ROOT: Final = Path(__file__).parents[2]
PATIENCE: Final = 20.0
"""Seconds in which a program has to say what is waited for."""
FIRST_PROCESS: Final = (
    "mount -t tmpfs tmpfs /run && mount -t sysfs sysfs /sys && ip link set lo up && echo ready && exec cat"
)
AS_ROOT: Final = os.geteuid() == 0


class NamespaceError(Exception):
    """A host can't be made, or a command failed there."""


class Program:
    """A program on a host, whose output is waited for line by line."""

    def __init__(self, command: list[str], environment: Mapping[str, str]) -> None:
        self._complaints: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # as long as the program
        self._unread = b""
        self.popen = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
        )

    def say(self, line: str) -> None:
        """Write a line to its input."""
        assert self.popen.stdin is not None
        self.popen.stdin.write(f"{line}\n".encode())
        self.popen.stdin.flush()

    def until(self, text: str, within: float = PATIENCE) -> str:
        """The next line that has `text` in it, which must come within so many seconds."""
        deadline = time.monotonic() + within
        passed: list[str] = []
        while (line := self._line(deadline)) is not None:
            if text in line:
                return line
            passed.append(line)
        raise AssertionError(f"{text!r} did not come, but {passed}; the log: {self.complaints()}")

    def _line(self, deadline: float) -> str | None:
        """The next line, or None where none comes in time, or ever."""
        assert self.popen.stdout is not None
        output = self.popen.stdout.fileno()
        while b"\n" not in self._unread:
            if not select.select([output], [], [], max(0.0, deadline - time.monotonic()))[0]:
                return None
            data = os.read(output, 1 << 16)
            if not data:
                return None
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode()

    def complaints(self) -> str:
        """What it has written to its standard error."""
        self._complaints.seek(0)
        return self._complaints.read().decode(errors="replace")

    def kill(self) -> None:
        """SIGKILL, and wait for the end; nothing where it has ended already."""
        self.popen.kill()
        self.popen.wait(PATIENCE)
        for stream in (self.popen.stdin, self.popen.stdout, self._complaints):
            assert stream is not None
            with suppress(BrokenPipeError):  # it has not read all
                stream.close()


class Machine:
    """What a machine has to itself. `inside`: one whose interfaces may be joined with those of this one."""

    def __init__(self, inside: Machine | None = None) -> None:
        self._outer = inside
        self.programs: list[Program] = []
        self.boot()

    def boot(self) -> None:
        """Begin, or begin anew after `close`.

        Raises:
            NamespaceError: this system does not permit it.
        """
        own = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        if self._outer is not None:
            own = [*self._outer.joining("--net"), *own]
        elif not AS_ROOT:
            own.append("--map-root-user")
        self._first = Program([*own, "sh", "-c", FIRST_PROCESS], {})
        if self._first._line(time.monotonic() + PATIENCE) != "ready":
            raise NamespaceError(self._first.complaints().strip() or "unshare has said nothing")

    def joining(self, *namespaces: str) -> list[str]:
        """The beginning of a command that joins some of the namespaces."""
        user = [] if AS_ROOT else ["--user", "--preserve-credentials"]
        return ["nsenter", f"--target={self._first.popen.pid}", *user, *namespaces]

    def _inside(self, command: tuple[str, ...]) -> list[str]:
        processes = f"--pid=/proc/{self._first.popen.pid}/ns/pid_for_children"
        # nsenter stays outside, and the program goes with it: so the signal that kills one kills the other.
        return [*self.joining("--net", "--mount", "--wd", processes), "setpriv", "--pdeathsig=KILL", *command]

    def start(self, *command: str, environment: Mapping[str, str] | None = None) -> Program:
        """Start a program, which ends with the machine at the latest."""
        program = Program(self._inside(command), environment or {})
        self.programs.append(program)
        return program

    def run(self, *command: str, given: str = "") -> str:
        """What a command says that ends by itself; `given` is its input.

        Raises:
            NamespaceError: it failed.
        """
        done = subprocess.run(
            self._inside(command), cwd=ROOT, input=given, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        if done.returncode:
            raise NamespaceError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def succeeds(self, *command: str) -> bool:
        """Whether a command ends well."""
        try:
            self.run(*command)
        except NamespaceError:
            return False
        return True

    def close(self) -> None:
        """End all that runs there, at once and without a word to anybody."""
        for program in (self._first, *self.programs):
            program.kill()
        self.programs.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()


class Switch(Machine):
    """What the cables of hosts are plugged into."""

    def __init__(self) -> None:
        super().__init__()
        self.hosts: list[Host] = []
        self.run("ip", "link", "add", "bridge", "type", "bridge")
        self.run("ip", "link", "set", "bridge", "up")

    def add(self, name: str) -> Host:
        """A new host with a cable to the switch; it is closed with it."""
        self.hosts.append(Host(self, name, len(self.hosts) + 1))
        return self.hosts[-1]

    def close(self) -> None:
        """Close the hosts, too."""
        for host in self.hosts:
            host.close()
        super().close()


class Host(Machine):
    """One with an interface `eth0`, at `address`, whose cable leads to a switch."""

    def __init__(self, switch: Switch, name: str, number: int) -> None:
        self.name = name
        self.number = number
        self.address = f"192.0.2.{number}"
        self._switch = switch
        super().__init__(switch)

    def boot(self) -> None:
        """As a machine, and with its cable."""
        super().boot()
        switch = self._switch
        card = f"02:00:00:00:00:{self.number:02x}"  # which a host keeps when it is started again
        peer = ["peer", "name", "eth0", "address", card, "netns", str(self._first.popen.pid)]
        ends = ["name", self.name, "type", "veth", *peer]
        # The number of the process counts outside.
        subprocess.run([*switch.joining("--net"), "ip", "link", "add", *ends], check=True, timeout=PATIENCE)
        switch.run("ip", "link", "set", self.name, "master", "bridge", "up")
        self.run("ip", "address", "add", f"{self.address}/24", "dev", "eth0")
        self.run("ip", "link", "set", "eth0", "up")

    def know(self, hosts: Mapping[str, str]) -> None:
        """From now on these are all the hosts whose addresses the system's resolver knows, by name."""
        lines = "".join(f"{address} {name}\n" for name, address in {"localhost": "127.0.0.1", **hosts}.items())
        self.run("sh", "-c", "cat >/run/hosts && mount --bind /run/hosts /etc/hosts", given=lines)

    def unplug(self) -> None:
        """From now on nothing comes and nothing goes; the host does not notice, as behind a second switch."""
        self._switch.run("ip", "link", "set", self.name, "nomaster")

    def plug(self) -> None:
        """The end of that."""
        self._switch.run("ip", "link", "set", self.name, "master", "bridge")

    def cut_power(self) -> None:
        """End all at once; no last word reaches anybody. `boot` begins anew, without what was set up."""
        self._switch.run("ip", "link", "delete", self.name)  # what is left of a host would have its cable for a while
        self.close()
