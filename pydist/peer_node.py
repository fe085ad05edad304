"""`PeerNode`: a process that owns a child node, on this host or another one (OTP's `peer`, and `slave` of old).

    worker = await PeerNode.start_link("worker", run=resize_pictures)
    node = (await peer_info(worker)).node        # worker@127.0.0.1
    await stop(worker)

The contract:

- `start_link` returns when the child node is up and connected with this one: it has imported what it is to run, and has
  started its applications. If it does not come up, the error has the last lines that it wrote.
- The child ends with its `PeerNode`: told to stop, by `stop` or a supervisor, it has `grace` seconds to stop in order,
  and is killed then. It also ends if the `PeerNode` is killed, or the whole program: its standard input ends. On Linux
  the system kills it at once with the program that has started it, here or at the other end of ssh.
- It is down when its program ends, or the connection is lost and does not come back in a second. What then: "stop" ends
  the `PeerNode` with `NORMAL`; "crash" ends it with the reason; "continue" keeps it, and `peer_info` tells the reason.
- What the child writes is logged here, line by line, as `peer_node_output` with its node; of more than 500 lines in 5
  seconds only the number, and of a line its first 4,096 bytes. A child that writes faster than 10 MiB a second waits.
- The cookie goes through a pipe, never by the command line or the environment.

OTP's connections beside the distribution, `peer:call`, `cast` and `send`, are not there: `rpc` does that.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any, Literal, TypeAlias, Unpack

from pydist.child_programs import Program, start_program
from pydist.core.child_console import ChildConsole, Line, Stream
from pydist.core.child_setup import ChildReport, Up
from pydist.core.log_allowance import withheld_field
from pydist.errors import StartError
from pydist.gen.addresses import Name, Server
from pydist.gen.calls import Caller, call
from pydist.gen.lifecycle import Stop
from pydist.gen_server import GenServer
from pydist.message import Message, Request
from pydist.messaging import acting, send
from pydist.net_kernel import disconnect, monitor_node
from pydist.own_log import log
from pydist.peer_plan import PeerOptions, PeerPlan, make_plan
from pydist.primitives import self_pid, spawn, trap_exit
from pydist.supervision.children import ChildSpec, child
from pydist.terms import NORMAL, Atom, NodeDown, Pid, Reason

State: TypeAlias = Literal["running", "down"]
Launch: TypeAlias = Callable[..., Coroutine[Any, Any, Program]]


class PeerInfo(Message, tag="$peer_info"):
    """How a child node stands."""

    node: str
    os_pid: int
    """Of its program, on its host."""
    state: State
    reason: Reason = None
    """Why it is down."""


class _GetInfo(Request[PeerInfo], tag="$get_peer_info"):
    pass


class NotStarted(Message, tag="$peer_not_started"):
    """The exit reason where a child node has not come up."""

    node: str
    why: str
    last_words: list[str]
    """The last lines of its standard error."""


class _Ended(Message, tag="$peer_program_ended"):
    """The program of the child has ended, with that status."""

    status: int


async def peer_info(server: Server) -> PeerInfo:
    """The node, the program and the state of the child of a `PeerNode` (OTP's `peer:get_state/1`).

    Raises:
        CallError: there is no such process.
    """
    return await call(server, _GetInfo())


class PeerNode(GenServer):
    """See the head of this file."""

    behaviour = "PeerNode"

    @classmethod
    async def start_link(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # a child node takes options, and no arguments of init
        cls, node: str | None = None, *, name: Name | None = None, **options: Unpack[PeerOptions]
    ) -> Pid:
        """Start a child node, owned by a new process that is linked to the caller (OTP's `peer:start_link/1`).

        What it runs is named, and found by importing it: on this host also where this program would find it, and
        without `run` and `applications` the node does what others ask of it.

        Args:
            node: its name, or name@host; one that is free by default.
            name: what its `PeerNode` is registered as.
            host: where it listens, if `node` does not say; the host of this node by default.
            run: its main function, async, of a module; or "module:name". The node goes on when it returns, and ends
                when it raises.
            args: its arguments: what JSON can hold.
            applications: those it starts, as `serve_applications` does; each a class, or "module:name".
            modules: what else it imports: those whose functions others may call, say.
            options: of its `Node`, by keyword, as far as JSON can hold them. Port mapper, ticks and limits are those of
                this node.
            cookie: its secret; that of this node by default.
            python: the interpreter, or a command that ends with it; this one, or python3 by ssh. pydist has to be
                installed there.
            python_args: arguments of the interpreter.
            cwd: the directory that it starts in.
            env: what its environment has beside that of this program; by ssh it is set when the interpreter runs.
            cpus: the numbers of the processors that it may use.
            ssh: start it on another host: where, and options of the ssh client: ["user@host", "-p", "2222"]. There has
                to be a key that needs no password.
            timeout: seconds it has to come up.
            grace: seconds it has to stop in order; less than its supervisor gives.
            peer_down: "stop", "crash" or "continue"; see the head of this file.

        Returns:
            The pid of its `PeerNode`; `peer_info` tells more.

        Raises:
            StartError: it did not come up, for the `NotStarted` that is its reason. The text has its last lines.
            NodeStartError: this node has no name, or no cookie for it.
            BadNodeName: it can't be called so.
            AlreadyStarted: `name` belongs to a living process.
            TypeError, ValueError: the options make no sense.
        """
        return await _explained(super().start_link(make_plan(node, **options), name=name))

    @classmethod
    async def start(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # as start_link
        cls, node: str | None = None, *, name: Name | None = None, **options: Unpack[PeerOptions]
    ) -> Pid:
        """As `start_link`, without a link: the child outlives the caller, but not this program."""
        return await _explained(super().start(make_plan(node, **options), name=name))

    @classmethod
    def one_per_core(
        cls, node: str = "core", *, pinned: bool = False, **options: Unpack[PeerOptions]
    ) -> list[ChildSpec]:
        """Describe a child node for each processor that this program may use, for a supervisor.

        Args:
            node: how they are called: "core" makes core0, core1 ... Their `PeerNode` have the same names.
            pinned: each runs on a processor of its own, and never on another.
            **options: as for `start_link`.
        """
        cores = sorted(os.sched_getaffinity(0))
        return [
            child(cls, f"{node}{number}", name=f"{node}{number}", **_on_core(core, pinned, options))
            for number, core in enumerate(cores)
        ]

    async def init(self, plan: PeerPlan, launch: Launch = start_program) -> None:  # see GenServer
        self._plan = plan
        self._node = plan.setup.node
        self._down: Reason = None
        self._program, self._os_pid = await _Boot(plan).up(launch)
        trap_exit(True)
        spawn(_tend, self._program, self_pid(), plan.setup.grace, link=True)
        monitor_node(self._node, True)
        log.info("peer_node_up", node=self._node, os_pid=self._os_pid)

    async def handle_call(self, request: Request[Any], caller: Caller, /) -> object:
        if isinstance(request, _GetInfo):
            state: State = "running" if self._down is None else "down"
            return PeerInfo(self._node, self._os_pid, state, self._down)
        return await super().handle_call(request, caller)

    async def handle_info(self, message: Any, /) -> None:
        match message:
            case _Ended(status):
                self._is_down(_reason(status))
            case NodeDown():
                await self._look_again()
            case _:
                return  # an exit signal of nobody who matters, the end of `_tend` among them

    async def terminate(self, reason: Reason, /) -> None:  # noqa: ARG002
        self._program.let_go(self._plan.setup.grace)
        await self._program.ended()
        disconnect(self._node)

    async def _look_again(self) -> None:
        """The connection is lost: because the program has ended, or for a moment, or for good."""
        if await self._program.ended(1.0) is not None:
            return  # `_tend` tells
        _, runtime = acting()
        if await runtime.neighbours.reach(self._node):
            monitor_node(self._node, True)
        else:
            self._program.let_go(0.0)
            self._is_down((Atom("nodedown"), self._node))

    def _is_down(self, reason: Reason) -> None:
        if self._down is not None:
            return
        self._down = reason
        log.warning("peer_node_down", node=self._node, reason=reason)
        if self._plan.peer_down != "continue":
            raise Stop(reason if self._plan.peer_down == "crash" else NORMAL)


def _on_core(core: int, pinned: bool, options: PeerOptions) -> dict[str, Any]:
    return {**options, "cpus": [core]} if pinned else {**options}


class _Boot:
    """From the start of a program to its answer."""

    def __init__(self, plan: PeerPlan) -> None:
        self._plan = plan
        self._console = ChildConsole(plan.setup.token)
        _, runtime = acting()
        self._loop = runtime.loop
        self._answer: asyncio.Future[ChildReport] = self._loop.create_future()

    async def up(self, launch: Launch) -> tuple[Program, int]:
        """The program and its number, when it is up. Raises Stop."""
        plan = self._plan
        try:
            program = await launch(plan.command, self._heard, plan.first_line, cwd=plan.cwd, env=plan.env)
        except OSError as error:
            raise self._failed(f"{plan.command[0]} can't be run: {error.strerror}") from None
        try:
            answer = await self._answered(program)
            if isinstance(answer, Up):
                return program, answer.os_pid
            program.let_go(0.0)
            await program.ended()  # its last words are complete then
        except BaseException:
            program.let_go(0.0)
            raise
        raise self._failed(answer if isinstance(answer, str) else answer.reason)

    async def _answered(self, program: Program) -> ChildReport | str:
        """What the child says, or why it says nothing."""
        ended = self._loop.create_task(program.ended())
        try:
            waited: list[asyncio.Future[Any]] = [self._answer, ended]
            await asyncio.wait(waited, timeout=self._plan.timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
        if self._answer.done():
            return self._answer.result()
        if ended.done():
            return f"its program has ended: {_status_in_words(program.status)}"
        return f"it was not up after {self._plan.timeout:g} s"

    def _failed(self, why: str) -> Stop:
        return Stop(NotStarted(self._plan.setup.node, why, self._console.last_words()))

    def _heard(self, stream: Stream, data: bytes) -> None:
        """Called by the event loop, as long as the program lives."""
        for event in self._console.receive_data(stream, data, self._loop.time()):
            if isinstance(event, Line):
                _log_line(self._plan.setup.node, event)
            elif not self._answer.done():
                self._answer.set_result(event)


def _log_line(node: str, line: Line) -> None:
    log.info("peer_node_output", node=node, stream=line.stream, line=line.text, **withheld_field(line.withheld))


def _status_in_words(status: int | None) -> str:
    kind, value = _reason(status or 0)
    return f"it was killed by {value}" if kind == Atom("killed_by") else f"its status is {value}"


async def _explained(start: Coroutine[Any, Any, Pid]) -> Pid:
    """With the last lines of a child that has not come up in the text of the error."""
    try:
        return await start
    except StartError as error:
        if isinstance(error.reason, NotStarted):
            raise StartError(error.reason, _in_words(error.reason)) from None
        raise


def _in_words(reason: NotStarted) -> str:
    lines = "".join(f"\n    {line}" for line in reason.last_words)
    return f"the child node {reason.node} did not come up: {reason.why}" + (
        f"; its last lines:{lines}" if lines else ""
    )


async def _tend(program: Program, owner: Pid, grace: float) -> None:
    """Stand beside the owner: tell it of the program's end, and let the program go if the owner is killed."""
    try:
        status = await program.ended()
        assert status is not None  # noqa: S101  # there was no timeout
        send(owner, _Ended(status))
    finally:
        program.let_go(grace)


def _reason(status: int) -> Reason:
    if status >= 0:
        return (Atom("exit_status"), status)
    try:
        return (Atom("killed_by"), signal.Signals(-status).name)
    except ValueError:
        return (Atom("killed_by"), str(-status))
