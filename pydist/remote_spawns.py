"""Processes that another node asks for: whether they may be started here, and starting them.

Only what is exported can be started (`exports.py`), by its name in a table. Of each other node so many processes may
run here at a time; the next is refused until one of them has ended. A refusal is one line in the log, of which there
are at most 20 in 10 seconds, and an `ExportRefused` for whoever has asked for that by `system_monitor`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

import attrs

from pydist.core.export_policy import Policy, Visitor
from pydist.core.log_allowance import LogAllowance, withheld_field
from pydist.errors import NameTaken, NodeStartError
from pydist.exports import CALL, Export, find_export, is_process_class
from pydist.message import Message
from pydist.own_log import log
from pydist.process import Process
from pydist.terms import Atom, Pid, Reason, Ref

SPAWN_LIMIT: Final = 10_000
"""Processes that each other node may have running here at a time."""

NOT_EXPORTED: Final = Atom("not_exported")
BAD_ARGUMENTS: Final = Atom("badarg")
NAME_TAKEN: Final = Atom("name_taken")
SYSTEM_LIMIT: Final = Atom("system_limit")
STOPPING: Final = Atom("stopping")
NOT_SUPPORTED: Final = Atom("notsup")
"""The other node knows of no remote spawns (OTP's reason)."""
ABANDONED: Final = Atom("abandoned")
"""With this ends a linked process whose start nobody waited for any longer (OTP's reason)."""


class SpawnReply(Message, tag="$spawn_reply"):
    """What a `spawn_request` has come to (OTP's `{spawn_reply, ReqId, ok | error, Pid | Reason}`)."""

    ref: Ref
    """What `spawn_request` has returned."""
    pid: Pid | None
    """The new process; None where there is none."""
    reason: Reason = None
    """Why there is none: `NOCONNECTION`, `NOT_SUPPORTED`, or a pair of an atom and a text."""
    starting: bool = False
    """It is a generic behaviour, whose `init` begins now. `Started` or `Down` follow."""


class Refused(Exception):  # it is no error here, but an answer
    """No process is started; `reason` is told to who has asked."""

    def __init__(self, kind: Atom, text: str) -> None:
        super().__init__(text)
        self.reason = kind, text


@attrs.frozen(kw_only=True)
class Wish:
    """What is to be started, for whom."""

    asker: Pid
    ref: Ref
    """That of the reply, and of the monitor."""
    export: str
    args: tuple[Any, ...]
    link: bool
    monitor: bool
    name: str | None


class Home(Protocol):
    """What is needed of the node."""

    node: str
    loop: asyncio.AbstractEventLoop

    def spawn(
        self,
        function: Callable[..., Coroutine[Any, Any, Any]],
        args: tuple[Any, ...],
        parent: Pid | None = None,
        name: str | None = None,
    ) -> Process:
        """Start a process."""
        ...

    def export_refused(self, pid: Pid, export: str, why: str, /) -> None:
        """Tell who wants to hear of it."""
        ...


def _no_tags(_node: str) -> frozenset[str]:
    return frozenset()


class RemoteSpawns:
    """See the head of this file. One for each node."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self.policy = Policy()
        self.limit = SPAWN_LIMIT
        self.tags_of: Callable[[str], frozenset[str]] = _no_tags
        """What the underlay says of the host of a node that is connected."""
        self._running: Counter[str] = Counter()
        """How many processes each node has running here."""
        self._allowance = LogAllowance()

    def start(self, wish: Wish) -> tuple[Process, bool]:
        """Start what is wished for. It has not run yet: who is to be linked with it and to watch it, does so now.

        Returns:
            The process, and whether it is a behaviour that has to come up.

        Raises:
            Refused: it can't be, and why.
        """
        export = self.admit(wish.export, wish.asker)
        node = wish.asker.node
        if node != self._home.node and self._running[node] >= self.limit:
            raise Refused(SYSTEM_LIMIT, f"{node} has {self.limit} processes running there already (spawn_limit)")
        process = self._started(export, wish)
        starting = is_process_class(export.target)
        if starting:
            process.label = export.target.__qualname__
        self._running[node] += 1
        process.add_done_callback(lambda _: self._ended(node))
        return process, starting

    def _started(self, export: Export, wish: Wish) -> Process:
        try:
            export.check(wish.args)
            function, args = export.life(wish.asker, wish.ref, wish.args, link=wish.link)
            return self._home.spawn(function, args, wish.asker, wish.name)
        except NameTaken as error:
            raise Refused(NAME_TAKEN, str(error)) from error
        except NodeStartError as error:
            raise Refused(STOPPING, str(error)) from error
        except (TypeError, ValueError) as error:
            raise Refused(BAD_ARGUMENTS, f"{wish.export}: {error}") from error

    def _ended(self, node: str) -> None:
        self._running[node] -= 1
        if not self._running[node]:
            del self._running[node]

    def admit(self, name: str, asker: Pid) -> Export:
        """What is exported by this name to the node of `asker`; to the own node, all that is marked is.

        Raises:
            Refused: nothing, or not to that node. They are not told apart to who asks, but in the log.
        """
        export = find_export(name)
        if export is None:
            why = "unknown"
        elif asker.node == self._home.node or name == CALL:
            return export
        elif not self.policy.admits(name, self._visitor(asker.node)):
            why = "not in the exports of this node for that node"
        elif not export.is_for(self._visitor(asker.node)):
            why = "not in the `to` of the export"
        else:
            return export
        self.refused(asker, name, why)
        raise Refused(NOT_EXPORTED, name)

    def admits(self, name: str, asker: Pid) -> bool:
        """Whether something of pydist's own that `name` stands for is there for the node of `asker`."""
        if asker.node == self._home.node or self.policy.admits(name, self._visitor(asker.node)):
            return True
        self.refused(asker, name, "not in the exports of this node for that node")
        return False

    def refused(self, asker: Pid, name: str, why: str) -> None:
        """Write down, and tell, that something was refused."""
        withheld = self._allowance.take(self._home.loop.time())
        if withheld is not None:
            log.warning(
                "export_refused",
                node=self._home.node,
                peer=asker.node,
                pid=asker,
                export=name,
                reason=why,
                **withheld_field(withheld),
            )
        self._home.export_refused(asker, name, why)

    def _visitor(self, node: str) -> Visitor:
        return Visitor(node, self.tags_of(node))


def answer_spawn(process: Process, reply: SpawnReply) -> None:
    """Tell `process` what has come of its request, if it still waits for that."""
    process.deliver_alias(reply.ref, reply)
    if reply.starting:
        process.open_alias(reply.ref, "reply")


def awaits_spawn(process: Process, ref: Ref) -> bool:
    """Whether `process` has not abandoned its request."""
    return process.aliases is not None and ref.number in process.aliases
