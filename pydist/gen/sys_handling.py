"""How a generic behaviour answers system messages (OTP's `sys:handle_system_msg`).

A behaviour that finds a `System` in its mailbox awaits `SystemSide.handle`, which returns when it is to go on: at once,
or, if it was suspended, when it is resumed.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable
from typing import Any, Protocol

from pydist.core.debugging import Debug, SysEvent
from pydist.errors import EncodeError
from pydist.exports import SYSTEM
from pydist.gen.calls import drop_malformed, is_answerable, reply
from pydist.gen.lifecycle import Stop, tells_to_end
from pydist.gen.sys_requests import (
    Count,
    Counted,
    Failed,
    GetState,
    GetStatus,
    Install,
    Keep,
    Kept,
    NoDebug,
    Remove,
    ReplaceState,
    Resume,
    Status,
    Suspend,
    System,
    Terminate,
    Trace,
)
from pydist.messaging import acting, receive
from pydist.own_log import log
from pydist.process import crash_of
from pydist.remote_spawns import NOT_EXPORTED
from pydist.terms import Exited, Pid


class Inspectable(Protocol):
    """What a behaviour shows of itself. Whatever these raise is told to who has asked, and the behaviour goes on."""

    def system_get_state(self) -> Any:
        """Its state."""
        ...

    def system_replace_state(self, function: Callable[[Any], Any], /) -> Any:
        """Put `function(state)` in the state's place; the new state."""
        ...

    def system_show_state(self) -> Any:
        """Its state as people may see it."""
        ...


class SystemSide:
    """The side of one behaviour that system messages are for."""

    __slots__ = ("_behaviour", "_debug", "_kind", "_parent", "_process", "_runtime", "_suspended")

    def __init__(self, behaviour: Inspectable, kind: str, parent: Pid | None) -> None:
        self._behaviour = behaviour
        self._kind = kind
        self._parent = parent
        self._process, self._runtime = acting()
        self._suspended = False
        self._debug = Debug()

    @property
    def debugging(self) -> bool:
        """Whether events are to be told to `note`."""
        return self._debug.active()

    def note(self, kind: str, term: Any, peer: Pid | None = None) -> None:
        """The behaviour does something while it is debugged."""
        label = self._process.label
        if self._debug.tracing:
            log.info("sys_trace", server=label, pid=self._process.pid, kind=kind, term=term, peer=peer)
        self._debug.note(SysEvent(kind, term, peer), label)

    async def handle(self, message: System) -> None:
        """Do what a system message asks for; returns when the behaviour is to go on.

        Raises:
            Stop: it is to end, or its parent has ended while it was suspended.
        """
        self._obey(message)
        while self._suspended:
            another: System | Exited = await receive(self._concerns)
            if isinstance(another, Exited):
                raise Stop(another.reason)
            self._obey(another)

    def _concerns(self, message: object) -> bool:
        return type(message) is System or tells_to_end(message, self._parent)

    def _obey(self, message: System) -> None:
        if not message.local and not self._admits(message):
            return
        try:
            answer = self._answer(message.request)
        except (CancelledError, Exception) as error:  # noqa: BLE001  # the user's code
            answer = Failed(("callback_failed", crash_of(error)))
        try:
            reply(message.caller, answer)
        except EncodeError as error:
            reply(message.caller, Failed(("unsendable", str(error))))
        if isinstance(message.request, Terminate):
            raise Stop(message.request.reason)

    def _admits(self, message: System) -> bool:
        """Whether what has come from another node is to be done; it is answered otherwise, if it can be."""
        if not is_answerable(message.caller) or message.caller.pid.node == self._runtime.node:
            drop_malformed(message)
            return False
        if self._runtime.spawns.admits(SYSTEM, message.caller.pid):
            return True
        reply(message.caller, Failed((NOT_EXPORTED, SYSTEM)))
        return False

    def _answer(self, request: object) -> Any:
        match request:
            case GetState():
                return self._behaviour.system_get_state()
            case ReplaceState(function):
                return self._behaviour.system_replace_state(function)
            case GetStatus():
                return self._status()
            case Suspend():
                self._suspended = True
            case Resume():
                self._suspended = False
            case Terminate():
                pass
            case _:
                return self._answer_debug(request)
        return None

    def _answer_debug(self, request: object) -> Any:
        debug = self._debug
        match request:
            case Trace(on):
                debug.tracing = on
            case Keep(limit):
                debug.keep(limit)
            case Kept():
                return debug.kept()
            case Count(on):
                debug.count(self._runtime.loop.time() if on else None)
            case Counted():
                return debug.counted(self._runtime.loop.time())
            case Install(key, hook, state):
                debug.install(key, hook, state)
            case Remove(key):
                debug.remove(key)
            case NoDebug():
                self._debug = Debug()
            case _:
                return Failed(("unknown_system_msg", request))
        return None

    def _status(self) -> Status:
        process = self._process
        return Status(
            pid=process.pid,
            behaviour=self._kind,
            label=process.label,
            name=process.registered_name(),
            parent=self._parent,
            suspended=self._suspended,
            message_queue_len=len(process.mailbox),
            state=self._behaviour.system_show_state(),
        )


def formatted(behaviour: object, state: Callable[[], Any]) -> Any:
    """What a `format_status` gives. One that raises must not end its behaviour, nor hide why that ends."""
    try:
        return state()
    except Exception as error:  # noqa: BLE001  # the user's code
        return f"<format_status of {type(behaviour).__qualname__} has raised {type(error).__qualname__}>"
