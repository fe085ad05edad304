"""`PartitionSupervisor`: several copies of one child, and a key says which of them (Elixir's `PartitionSupervisor`).

    await PartitionSupervisor.start_link(child(DynamicSupervisor), partitions=8, name="rooms")
    rooms = PartitionSupervisor("rooms")
    await start_child(rooms.via(user), child(Room, user))   # always the same partition for one user

It is for a process that keeps its callers waiting, as a `DynamicSupervisor` does while a child starts. All partitions
run in one Python process: what they do while they await is shared among them, the CPU is not.

The contract:

- A key leads to the same partition as long as the supervisor runs: an integer by its remainder, any other by its hash,
  which is another in each Python process. To be asked it needs no message, on its own node; on others it is unknown.
- Partitions have the ids "0", "1", and so on. They are started in order, and restarted as a `Supervisor`'s children.
- While a partition does not run, a call by one of its keys fails with `NoProcess`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, ClassVar, NoReturn

import attrs

from pydist.core.restart import RestartPolicy, Strategy, check_whole
from pydist.core.shown import shown
from pydist.errors import StartError, UnknownName
from pydist.gen.addresses import Name, Via, holder
from pydist.gen.calls import Caller, call
from pydist.message import Request
from pydist.primitives import publish, published
from pydist.supervision.children import ChildSpec, Failed, Kind, check_spec
from pydist.supervision.supervising import Child
from pydist.supervisor import Children, Supervisor
from pydist.terms import Pid


@attrs.frozen
class PartitionSupervisor:
    """A supervisor of partitions on this node, by its name; see the head of this file. Make it where it is needed."""

    name: Name
    child_kind: ClassVar[Kind] = "supervisor"

    @classmethod
    async def start_link(
        cls,
        partition: ChildSpec | Callable[[int], ChildSpec],
        *,
        partitions: int,
        name: Name,
        strategy: Strategy = "one_for_one",
        intensity: int = 3,
        period: int = 5,
    ) -> Pid:
        """Start it, linked to the caller; returns when all partitions have started.

        Args:
            partition: made by `child`; or a function that makes it, given the number of the partition, from 0.
            partitions: how many.
            name: what it is registered as.
            strategy: as of a `Supervisor`.
            intensity: restarts allowed within `period`, over all partitions.
            period: whole seconds.

        Raises:
            AlreadyStarted, StartError, ValueError: as by `Supervisor.start_link`.
            TypeError: what is no description of a child, or no whole number.
        """
        check_whole("partitions", partitions, 1, "partitions")
        specs = [_numbered(partition, number) for number in range(partitions)]
        return await _Partitions.start_link(specs, strategy=strategy, intensity=intensity, period=period, name=name)

    def via(self, key: Hashable) -> Via:
        """The partition for `key`, as a server to be called."""
        return Via(self, key)

    def partitions(self) -> int:
        """How many partitions there are.

        Raises:
            UnknownName: it does not run on this node.
        """
        return self._routes().count

    async def resize(self, partitions: int) -> int:
        """Use another number of partitions, from 0 to that at the start: others are stopped, or started again.

        Keys lead to other partitions then. If one does not start, those before it are used.

        Returns:
            The number before.

        Raises:
            UnknownName: it does not run on this node.
            StartError: a partition did not start.
            TypeError, ValueError: no whole number, or too large a one.
        """
        most = len(self._routes().pids)
        check_whole("partitions", partitions, 0, "partitions")
        if partitions > most:
            raise ValueError(f"{self.name!r} was started with {most} partitions and can't have {partitions}")
        answer = await call(self.name, _Resize(partitions), timeout=None)
        if isinstance(answer, Failed):
            raise StartError(answer.reason, f"the partition {answer.id} did not start: {shown(answer.reason)}")
        return answer

    # -- the via name

    def whereis_name(self, key: Hashable) -> Pid | None:
        """Part of a via name: the partition for `key`, or None if there is none."""
        routes = self._published()
        return None if routes is None else routes.to(key)

    def register_name(self, key: Hashable, pid: Pid) -> NoReturn:
        """No part of a via name: its partitions are its own children."""
        raise TypeError(f"{pid} can't be registered as {key!r}: a partition supervisor starts its partitions itself")

    def unregister_name(self, key: Hashable) -> None:
        """Part of a via name, for nobody."""

    def _published(self) -> _Routes | None:
        owner = holder(self.name)
        routes = None if owner is None else published(owner)
        return routes if isinstance(routes, _Routes) else None

    def _routes(self) -> _Routes:
        routes = self._published()
        if routes is None:
            raise UnknownName(f"no partition supervisor {self.name!r} runs on this node")
        return routes


def _numbered(partition: object, number: int) -> ChildSpec:
    if callable(partition) and not isinstance(partition, type):
        partition = partition(number)
    return attrs.evolve(check_spec(partition), id=str(number))


class _Routes:
    """What the supervisor publishes."""

    def __init__(self, count: int) -> None:
        self.count = count
        """How many partitions are used: the first ones."""
        self.pids: list[Pid | None] = [None] * count

    def to(self, key: Hashable) -> Pid | None:
        if not self.count:
            return None
        number = abs(key) if isinstance(key, int) else hash(key)
        return self.pids[number % self.count]


class _Resize(Request["int | Failed"], tag="$resize"):
    partitions: int


class _Partitions(Supervisor):
    """The process itself."""

    __qualname__ = "PartitionSupervisor"  # what reports call it

    async def init(self, children: Children, policy: RestartPolicy) -> None:
        self._routes = _Routes(0 if callable(children) else len(children))
        publish(self._routes)
        await super().init(children, policy)

    def _came_up(self, child: Child) -> None:
        super()._came_up(child)
        self._routes.pids[int(child.spec.id)] = child.pid

    async def _answer(self, request: Request[Any], caller: Caller) -> object:
        if isinstance(request, _Resize):
            return await self._resize(request.partitions)
        return await super()._answer(request, caller)

    async def _resize(self, partitions: int) -> int | Failed:
        before = self._routes.count
        for number in range(before, partitions):
            answer = await self._restart_child(str(number))
            if isinstance(answer, Failed) and answer.start:
                return answer
            self._routes.count = number + 1
        self._routes.count = partitions
        for number in range(partitions, before):
            await self._terminate_child(str(number))
        return before
