"""What `GenServer` and `GenStatem` have in common as classes: how they start, and what their callbacks have to be."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from inspect import iscoroutinefunction
from typing import Any

from pydist.gen import lifecycle
from pydist.gen.addresses import Name
from pydist.terms import Pid, Ref


class Behaviour:
    """Subclasses say what the life of their process is, by `_gen_life`."""

    __slots__ = ()

    @classmethod
    async def start_link(
        cls, *args: Any, name: Name | None = None, start_timeout: float | None = None, **kwargs: Any
    ) -> Pid:
        """Start it in a process of its own, linked to the caller; returns when its `init` has.

        Args:
            *args: those of `init`.
            name: what it is registered as, from before `init` on: a name on this node, or a `Via`.
            start_timeout: seconds that `init` may take before the process is killed; None for as long as it takes.
            **kwargs: those of `init`.

        Returns:
            Its pid; None if `init` has raised `Ignore`.

        Raises:
            AlreadyStarted: `name` belongs to a living process.
            StartError: `init` failed, with its exit reason, or took too long, with `Atom("timeout")`. A caller that
                does not trap exits gets the exit signal of one that failed, too.
        """
        life = cls._gen_life(args, kwargs)
        pid: Pid = await lifecycle.start(life, name, label=cls.__qualname__, link=True, timeout=start_timeout)
        return pid

    @classmethod
    async def start(
        cls, *args: Any, name: Name | None = None, start_timeout: float | None = None, **kwargs: Any
    ) -> Pid:
        """As `start_link`, without a link."""
        life = cls._gen_life(args, kwargs)
        pid: Pid = await lifecycle.start(life, name, label=cls.__qualname__, timeout=start_timeout)
        return pid

    @classmethod
    async def start_monitor(
        cls, *args: Any, name: Name | None = None, start_timeout: float | None = None, **kwargs: Any
    ) -> tuple[Pid, Ref]:
        """As `start`, and monitored by the caller from its first step: `(pid, ref)`."""
        life = cls._gen_life(args, kwargs)
        both: tuple[Pid, Ref] = await lifecycle.start_monitor(life, name, label=cls.__qualname__, timeout=start_timeout)
        return both

    @classmethod
    def _gen_life(cls, args: tuple[Any, ...], kwargs: dict[str, Any]) -> lifecycle.Serve:
        """What its process does, given the arguments of `init`."""
        raise NotImplementedError

    @classmethod
    def __remote_life__(cls, asker: Pid, ref: Ref, args: tuple[Any, ...], /, *, link: bool) -> Coroutine[Any, Any, Any]:
        """The life of one that a process of another node starts; see `exports.py`."""
        starter = lifecycle.Starter(asker, None, link=link)
        starter.ref = ref
        return cls._gen_life(args, {})(starter)


def check_callbacks(cls: type, names: Iterable[str]) -> None:
    """Raise TypeError for a callback that is no async function."""
    for name in names:
        if not iscoroutinefunction(getattr(cls, name)):
            raise TypeError(f"{cls.__qualname__}.{name} is no async function: write `async def {name}`")
