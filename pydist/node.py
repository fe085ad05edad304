"""A node: processes under one name, that find other nodes and talk to them as if they were here.

`run` (`program.py`) is all that most programs need. A `Node` object is for programs that have an event loop of their
own: a web server whose handlers call processes, a test with three nodes in one Python process.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeVar, TypeVarTuple, cast

from pydist.boot import BOOT
from pydist.cluster import Cluster
from pydist.cookie_jar import CookieJar
from pydist.core.busy_wait import BUSY_WAIT
from pydist.core.redial import AutoConnect
from pydist.core.ticker import INTENSITY, NET_TICKTIME
from pydist.discoverer import Discoverer
from pydist.discovery import Discovery
from pydist.env import Env, real_env
from pydist.errors import Exit, NodeStartError
from pydist.exports import Exports, policy_of
from pydist.liveness import Liveness
from pydist.naming import Nameless
from pydist.node_ports import PeerPorts, node_ports
from pydist.node_watch import node_watch_of
from pydist.own_log import log
from pydist.peer import BUSY_LIMIT, PENDING_LIMIT, Settings
from pydist.process import Process, crash_of
from pydist.remote_spawns import SPAWN_LIMIT
from pydist.runtime import LOCAL_NODE, Runtime, begin
from pydist.terms import NODE, SHUTDOWN, Destination, NodeName, Pid
from pydist.transport import Listener, Network
from pydist.transport.tcp import TcpNetwork
from pydist.underlay import Underlay
from pydist.underlay.border import Border
from pydist.underlay.network import UnderlayNetwork
from pydist.wire.fragments import MESSAGE_LIMIT
from pydist.wire.handshake import Identity

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

STOP_TIME: Final = 10.0
"""Seconds that processes have to clean up when their node stops."""


class Node:
    """One node on the running event loop.

        node = Node("a@127.0.0.1", cookie="secret")
        await node.start()
        total = await node.run(add_up, 1, 2)      # add_up runs as a process
        await node.stop()

    Args:
        name: name@host. The node listens at that host's address, and is found through the port mapper there. None for a
            node without distribution.
        cookie: the secret that all nodes of a cluster share. Without it, it is in the file ~/.pydist.cookie, which is
            made with a random one where it is missing (Erlang's ~/.erlang.cookie).
        cookies: cookies for single other nodes, by their names; see `set_cookie`.
        cookie_file: another file that holds the cookie, on a line; two while the cluster changes it, the new one first.
            Others may not read it. It is looked at before each handshake.
        hidden: do not count as a member of the cluster: other nodes leave it out of `nodes()`.
        named_by: with a name like @host, the node that gives this one its name and creation when it starts (OTP: `erl
            -name undefined`). Such a node is hidden, and nobody can dial it; it connects to the one that named it.
        epmd_port: the port mapper's port; ERL_EPMD_PORT or 4369 by default.
        port: where the node listens; a free one by default.
        peer_ports: for a cluster without port mappers: the port at which all its nodes listen, or a mapping of node
            names to ports. The node does not register then, asks nobody, and needs a `port`.
        net_ticktime: seconds of silence after which a peer is held to be dead; 0.1 at least, and the same on all nodes
            of a cluster, hidden ones too.
        net_tickintensity: in how many intervals that time is cut: a node writes at least once in two of them, and
            notices a dead peer within one of them, more or less. From 4 to 1,000.
        suspect_after: seconds of silence after which a peer is suspect, see `monitor_nodes`: half the `net_ticktime` by
            default, and at least three of its intervals.
        auto_connect: "always": whatever is sent to a node that is not connected connects to it; "once": but not again
            after the connection was lost; "never": only `connect` and `connect_node` do (OTP: `dist_auto_connect`).
            Where a node must not connect, links and monitors meet `NOCONNECTION`, and messages are dead letters.
        keep_connected: nodes that are dialled again and again, with pauses of up to 10 seconds, until they are
            connected; also after a connection was lost, unless `disconnect` has ended it.
        prevent_overlapping_partitions: when other nodes have lost each other, disconnect from those that were lost, so
            that the nodes that are connected are connected with each other, all of them. Nodes that do not want it, and
            hidden ones, are left alone. Switch it off where nodes are on purpose connected with some others only.
        global_names: start the server of the names of the cluster (`global_names.py`). Without it, the node takes no
            part: it knows no such names, others don't ask it, and what would change them raises `NoProcess`.
        allow_public: listen at a public address, or at all addresses. pydist does not encrypt: think twice.
        underlay: the network to listen on, at all its addresses, and to dial on, whatever else this host is on; see
            docs/topics/underlay.md. A connection from another network is closed before a byte of it is read. The start
            waits for the underlay; later the node follows its addresses, and stays while it is away.
        message_limit: bytes of the largest message to or from another node, about; the same on all nodes of a cluster.
        compress: send messages of more than 64 KiB compressed (zlib), where that makes them smaller. It takes the time
            of the event loop, here and there: some 10 ms for each MiB. For links that are slower than that.
        long_schedule: seconds that a step of a process may take, from one await to the next, before a warning is
            logged: while it runs, and when it has ended. None for no such watch; it takes a thread.
        busy_wait: seconds in which the node looks for more input before it sleeps, after peers have answered quickly.
            It saves a round trip the time to be woken, and costs processor time, as the BEAM's `+sbwt` does. By default
            0.0001 where there is more than one processor; 0 for never.
        busy_limit: bytes that may wait for another node before processes that send more to it are held at their next
            await (Erlang's `+zdbbl`, `dist_buf_busy_limit`).
        pending_limit: bytes that may wait for another node before messages to it raise `ConnectionFull`.
        exports: what other nodes may start here, of all that `export` marks: a list of exports, by themselves or by
            their names, in which `*` stands for any characters; or such lists by who they are for, as
            `{"web*@10.0.0.2": [join], "tag:ops": ["*"]}`, where a key is a node's name, or a tag of the underlay.
            "$sys" stands for the system messages of `sys_messages`. By default all that is marked, and "$sys", for
            every node that holds the cookie.
        spawn_limit: processes that each other node may have running here at a time, of those it has started.
        discovery: where to look for other nodes, which are dialled, and dialled again when they were lost: a
            `StaticDiscovery`, `DnsDiscovery` or `TailnetTagDiscovery`.
        network, env: for tests: what carries the bytes, and where time and chance come from.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        cookie: str | None = None,
        cookies: Mapping[str, str] | None = None,
        cookie_file: str | os.PathLike[str] | None = None,
        hidden: bool = False,
        named_by: str | None = None,
        epmd_port: int | None = None,
        port: int = 0,
        peer_ports: PeerPorts | None = None,
        net_ticktime: float = NET_TICKTIME,
        net_tickintensity: int = INTENSITY,
        suspect_after: float | None = None,
        auto_connect: AutoConnect = "always",
        keep_connected: Iterable[str] = (),
        prevent_overlapping_partitions: bool = True,
        global_names: bool = True,
        allow_public: bool = False,
        underlay: Underlay | None = None,
        message_limit: int = MESSAGE_LIMIT,
        compress: bool = False,
        long_schedule: float | None = None,
        busy_wait: float | None = None,
        busy_limit: int = BUSY_LIMIT,
        pending_limit: int = PENDING_LIMIT,
        exports: Exports = None,
        spawn_limit: int = SPAWN_LIMIT,
        discovery: Discovery | None = None,
        network: Network | None = None,
        env: Env | None = None,
    ) -> None:
        self._nameless = Nameless.wish(name, named_by)
        self._name = None if name is None or self._nameless else NodeName.parse(name)
        if not message_limit > 0:
            raise NodeStartError(f"message_limit is a number of bytes above 0, not {message_limit}")
        if long_schedule is not None and not long_schedule > 0:
            raise NodeStartError(f"long_schedule is a number of seconds above 0, not {long_schedule}")
        self._long_schedule = long_schedule
        self._busy_limit, self._pending_limit = _sizes(busy_limit, pending_limit)
        self._message_limit = message_limit
        self._exports = policy_of(exports)
        if type(spawn_limit) is not int or spawn_limit < 0:
            raise NodeStartError(f"spawn_limit is a number of processes from 0 on, not {spawn_limit!r}")
        self._spawn_limit = spawn_limit
        self._compress = compress
        self._boot = BOOT if global_names else []
        self._port = port
        self._liveness = Liveness(
            net_ticktime=net_ticktime,
            net_tickintensity=net_tickintensity,
            suspect_after=suspect_after,
            auto_connect=auto_connect,
            keep_connected=keep_connected,
            prevent_overlapping_partitions=prevent_overlapping_partitions,
        )
        self._busy_wait = _busy_wait(busy_wait, network)
        self._env = real_env() if env is None else env
        self._underlay = underlay
        self._network = _network(network, underlay, self._env, allow_public=allow_public)
        self._cookies = CookieJar(cookie, cookies, cookie_file, self._env.entropy)
        self._hidden = hidden or self._nameless is not None
        self._ports = node_ports(
            epmd_port=epmd_port,
            peer_ports=peer_ports,
            port=port,
            hidden=self._hidden,
            entropy=self._env.entropy,
            underlay=underlay,
        )
        if discovery is not None:
            _check_shape("discovery", discovery, "look", 'StaticDiscovery(["b@10.0.0.2"])')
            if name is None:
                raise NodeStartError("a node that is to discover others needs a name by which they know it: name@host")
        self._discovery = discovery
        self._discoverer: Discoverer | None = None
        self._runtime: Runtime | None = None
        self._cluster: Cluster | None = None
        self._listener: Listener | None = None
        self._stopped = False

    @property
    def name(self) -> str:
        """The node's name."""
        return LOCAL_NODE if self._name is None else str(self._name)

    async def start(self) -> None:
        """Come up: listen, register with the port mapper (started if none answers on this host), take connections.

        Raises:
            NodeNameTaken: a living node of this host has the name.
            PortInUse: another program listens at the port.
            PortMapperError: there is no port mapper, and none could be started.
            NodeStartError: the address can't be listened at, or there is no cookie, or not for us alone.
            Unreachable: the node that is to name this one can't be reached.
        """
        if self._runtime is not None:
            raise NodeStartError(f"the node {self.name} has been started already")
        loop = asyncio.get_running_loop()
        if self._nameless is not None:
            creation = await self._get_name(self._nameless)
        elif self._name is not None:
            creation = await self._listen_and_register(self._name)
        else:
            self._runtime = self._watched(Runtime(loop))
            return
        self._runtime = self._watched(Runtime(loop, self.name, creation))
        self._runtime.entropy = self._env.entropy
        settings = Settings(
            local=Identity(self.name, creation, self._liveness.flags, hidden=self._hidden),
            cookies=self._cookies,
            env=self._env,
            net_ticktime=self._liveness.net_ticktime,
            intensity=self._liveness.net_tickintensity,
            suspect_after=self._liveness.suspect_after,
            message_limit=self._message_limit,
            compress=self._compress,
            busy_wait=self._busy_wait,
            busy_limit=self._busy_limit,
            pending_limit=self._pending_limit,
        )
        redial = self._liveness.redial(self.name, self._env)
        self._cluster = Cluster(self._runtime, settings, self._network, self._ports, redial, underlay=self._underlay)
        if self._nameless is not None:
            self._cluster.connect(self._nameless.by)
        if self._discovery is not None:
            self._discoverer = Discoverer(self.name, self._discovery, self._cluster, self._env)
        port = None if self._listener is None else self._listener.port
        log.info("node_started", node=self.name, port=port, creation=creation)
        for boot in self._boot:
            await self.run(boot, not self._hidden)

    async def _get_name(self, nameless: Nameless) -> int:
        """From another node, and with it the creation."""
        self._cookies.open()
        if self._underlay is not None:
            await self._underlay.ready()
        given = await nameless.ask(self._cookies(), self._env, self._network, self._ports)
        self._name = NodeName.parse(given.node)
        return given.creation

    async def _listen_and_register(self, name: NodeName) -> int:
        """The creation comes from the port mapper."""
        self._cookies.open()
        self._listener = await self._network.listen(self._answer, name.host, self._port)
        try:
            return await self._ports.enter(name, self._listener.port)
        except BaseException:
            self._listener.close()
            raise

    def _watched(self, runtime: Runtime) -> Runtime:
        runtime.spawns.policy, runtime.spawns.limit = self._exports, self._spawn_limit
        if self._long_schedule is not None:
            node_watch_of(runtime, self._env.clock).log_long_steps(self._long_schedule)
        return runtime

    def _answer(self) -> asyncio.Protocol:
        return _TooEarly() if self._cluster is None else self._cluster.door.answer()

    async def stop(self, timeout: float = STOP_TIME) -> None:
        """Stop: give the name back, shut the processes down, kill what is left of them, disconnect.

        Those whose parent lives are the parent's to stop, as a supervisor does it, child by child. All others get the
        exit signal `SHUTDOWN`.

        Args:
            timeout: seconds that processes have to clean up.
        """
        if self._runtime is None:
            return
        self._stopped = True
        if self._listener is not None:
            self._listener.close()
        if self._discoverer is not None:
            self._discoverer.close()
            await self._discoverer.closed()
        self._ports.leave()
        await _shut_down(self._runtime, timeout)
        self._runtime.close()
        while self._runtime.scheduler.ready:  # noqa: ASYNC110  # there the killed are closed, by the loop's next turns
            await asyncio.sleep(0)
        if self._cluster is not None:
            await self._cluster.close()
        await self._ports.left()
        log.info("node_stopped", node=self.name)

    def spawn(self, function: Callable[[*Ts], Coroutine[Any, Any, Any]], *args: *Ts, name: str | None = None) -> Pid:
        """Start a process from outside any process; see `pydist.spawn`."""
        return self._spawn(function, args, name).pid

    async def run(self, function: Callable[[*Ts], Coroutine[Any, Any, T]], *args: *Ts) -> T:
        """Run `function(*args)` in a process of its own and wait for its result, from outside any process.

        If the waiting task is cancelled, the process gets the exit signal `SHUTDOWN`.

        Raises:
            Exit: the process ended by an exit signal.
            Exception: whatever the function raises. Processes linked to it get it as a `Crash`.
        """
        outcome: list[Any] = []

        async def keep_outcome() -> None:
            try:
                outcome.append(await begin(function, args))
            except Exception as error:
                outcome.append(error)
                raise _HandedOn(crash_of(error)) from error

        process = self._spawn(keep_outcome, (), None)
        process.label = getattr(function, "__qualname__", process.label)
        try:
            await _ended(process)
        except asyncio.CancelledError:
            process.receive_exit_to(process.pid, SHUTDOWN)
            raise
        if not outcome:
            ended = Exit(process.exit_reason)
            ended.add_note(f"{process!r} has ended by an exit; the log may say why")
            raise ended
        if isinstance(process.exception(), Exit) and isinstance(outcome[0], Exception):
            raise outcome[0]
        result: T = outcome[0]
        return result

    def send(self, target: Destination, message: Any) -> None:
        """Send a message from outside any process; see `pydist.send`."""
        self._started().send(target, message)

    def set_cookie(self, node: str, cookie: str | None) -> None:
        """From the next handshake on, this node and `node` have a cookie of their own (OTP: `erlang:set_cookie/2`).

        Args:
            node: the name of another node, which has to do the same.
            cookie: the secret of the two; None for the one that all share.

        Raises:
            BadNodeName: `node` is no node name.
            NodeStartError: the cookie is empty.
        """
        self._cookies.set(node, cookie)

    def _spawn(
        self, function: Callable[..., Coroutine[Any, Any, Any]], args: tuple[Any, ...], name: str | None
    ) -> Process:
        return self._started().spawn(function, args, None, name)

    def _started(self) -> Runtime:
        if self._runtime is None:
            raise NodeStartError(f"the node {self.name} is not running: await node.start() first")
        if self._stopped:
            raise NodeStartError(f"the node {self.name} is not running: it has been stopped")
        return self._runtime


def _network(network: Network | None, underlay: Underlay | None, env: Env, *, allow_public: bool) -> Network:
    if underlay is None:
        return TcpNetwork(allow_public=allow_public) if network is None else network
    _check_shape("underlay", underlay, "ready", 'WireGuardUnderlay("wg0")')
    border = Border(underlay, env.clock)
    return UnderlayNetwork(TcpNetwork(allow_public, border) if network is None else network, border)


def _check_shape(option: str, given: object, method: str, example: str) -> None:
    """A name or a list in its place, or its class, would fail only later and elsewhere."""
    if isinstance(given, type) or not hasattr(given, method):
        raise NodeStartError(f"{option} is an object such as {example}, not {given!r}")


def _busy_wait(asked: float | None, network: Network | None) -> float:
    """What was asked for; by default only where another processor can write the answer meanwhile."""
    if asked is None:
        return BUSY_WAIT if network is None and (os.cpu_count() or 1) > 1 else 0.0
    if not 0 <= asked <= 1:
        raise NodeStartError(f"busy_wait is a number of seconds from 0 to 1, not {asked}")
    return asked


def _sizes(busy_limit: object, pending_limit: object) -> tuple[int, int]:
    """Both, checked."""
    for name, limit in (("busy_limit", busy_limit), ("pending_limit", pending_limit)):
        if type(limit) is not int or limit < 1:
            raise NodeStartError(f"{name} is a number of bytes from 1 on, not {limit!r}")
    return cast("int", busy_limit), cast("int", pending_limit)


class _HandedOn(Exit):
    """Ends a process whose error goes to who waits for `run`: a report would tell it twice."""

    silent = True


class _TooEarly(asyncio.Protocol):
    """A connection that comes before the node has its creation: nobody can know of its port yet."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Close it."""
        transport.close()


async def _shut_down(runtime: Runtime, timeout: float) -> None:
    outside = Pid(runtime.node, NODE, runtime.creation)
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout):
            while orphans := [
                p for p in runtime.table.values() if p.parent is None or runtime.process(p.parent) is None
            ]:
                for process in orphans:
                    process.receive_exit_to(outside, SHUTDOWN)
                for process in orphans:
                    await _ended(process)


async def _ended(process: Process) -> None:
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake(_process: object) -> None:
        if not ended.done():
            ended.set_result(None)

    process.add_done_callback(wake)
    await ended
