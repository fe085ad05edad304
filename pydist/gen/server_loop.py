"""What the process of a `GenServer` does: it takes one message after the other to the handler that is for it."""

from __future__ import annotations

from asyncio import CancelledError
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, ClassVar, Final, NoReturn, Protocol

from pydist.core.shown import shown
from pydist.gen.calls import Call, Caller, Cast, drop_malformed, is_answerable, reply
from pydist.gen.lifecycle import NO_REPLY, Starter, Stop, asked_in, failed, report_end, stopped, tells_to_end
from pydist.gen.sys_handling import Inspectable, SystemSide
from pydist.gen.sys_requests import System
from pydist.mailbox import MISSING
from pydist.message import Request
from pydist.messaging import current, receive
from pydist.terms import Pid, Reason

TIMEOUT: Final = object()
"""Stands for the message that has not come in time."""


class Handlers(Inspectable, Protocol):
    """A `GenServer` as its process sees it."""

    behaviour: ClassVar[str]

    async def handle_call(self, request: Request[Any], caller: Caller, /) -> object: ...
    async def handle_cast(self, message: Any, /) -> object: ...
    async def handle_info(self, message: Any, /) -> object: ...
    async def handle_continue(self, term: Any, /) -> object: ...
    async def handle_timeout(self) -> object: ...
    async def terminate(self, reason: Reason, /) -> None: ...


class Coming:
    """What comes next in a server, where that is not simply the next message."""

    __slots__ = ("_at", "_continuations", "_idle", "_system", "_waited", "unusual")

    def __init__(self) -> None:
        self.unusual = False
        """Something else than the next message comes, or events are to be noted."""
        self._continuations: deque[Any] = deque()
        self._idle: float | None = None
        self._waited: float | None = None
        self._at: Any = MISSING
        self._system: SystemSide | None = None

    def use(self, system: SystemSide) -> None:
        """The server is up."""
        self._system = system

    def then(self, term: Any) -> None:
        """Call `handle_continue(term)` before any other message is taken."""
        self._continuations.append(term)
        self.unusual = True

    def wait(self, seconds: object) -> None:
        """Wait no longer than this for the next message."""
        if not isinstance(seconds, int | float) or not seconds >= 0:
            raise ValueError(f"a timeout is a number of seconds from 0, not {seconds!r}")
        self._idle = seconds
        self.unusual = True

    async def message(self, server: Handlers) -> Any:
        """The next message, or TIMEOUT, when all that comes before it is done."""
        while self._continuations:
            self._at = term = self._continuations.popleft()
            self.note("continue", term)
            _expect_none(server, "handle_continue", await server.handle_continue(term))
            self._at = MISSING
        waited, self._idle = self._idle, None
        self._settle()
        try:
            message = await receive(None, waited)
        except TimeoutError:
            self.note("timeout", None)
            return TIMEOUT
        if type(message) is System:
            self._waited = waited
        else:
            self.note("in", message)
        return message

    async def obey(self, message: System) -> None:
        """Do what a system message asks for. If the server waits for a limited time only, that begins anew."""
        assert self._system is not None  # noqa: S101  # no message is taken before
        self._idle, self._waited = self._waited, None
        await self._system.handle(message)
        self._settle()

    def note(self, kind: str, term: Any, peer: Pid | None = None) -> None:
        """Something has happened."""
        if self._system is not None and self._system.debugging:
            self._system.note(kind, term, peer)

    def at(self, message: Any) -> Any:
        """What the server is at: a continuation, or `message`."""
        return message if self._at is MISSING else ("continue", self._at)

    def _settle(self) -> None:
        """See whether anything else is to be done than to take the next message."""
        debugging = self._system is not None and self._system.debugging
        self.unusual = bool(self._continuations) or self._idle is not None or debugging


def title(server: object) -> str:
    """What a server is called in the text of an error."""
    name = current().registered_name()
    return type(server).__qualname__ if name is None else f"{type(server).__qualname__} {name!r}"


async def serve(server: Handlers, coming: Coming, init: Callable[[], Awaitable[object]], starter: Starter) -> None:
    """The whole life of a server's process."""
    await starter.run(partial(_begin, server, init))
    coming.use(SystemSide(server, server.behaviour, starter.parent))
    message: Any = None
    caller: Any
    pid: Any
    try:
        while True:
            message = await (coming.message(server) if coming.unusual else receive())
            caller = message.caller if type(message) is Call else None
            # Written out, since calls are what is in a hurry: a caller of this node is as it should be.
            if caller is not None and (
                (type(caller) is Caller and type(pid := caller.pid) is Pid and pid.process is not None)  # type: ignore[redundant-expr]  # a peer writes what it likes
                or is_answerable(caller)
            ):
                value = await server.handle_call(message.request, caller)
                if value is None:
                    _check_none(server, message.request)
                if value is not NO_REPLY:
                    reply(caller, value)
                    if coming.unusual:
                        coming.note("out", value, caller.pid)
            elif type(message) is Cast:
                _expect_none(server, "handle_cast", await server.handle_cast(message.message))
            else:
                await _take(server, coming, message, starter.parent)
    except Stop as stop:
        await _stop(server, stop, coming.at(message))
    except (CancelledError, Exception) as error:
        await _fail(server, error, coming.at(message))
        raise


async def _take(server: Handlers, coming: Coming, message: Any, parent: Pid | None) -> None:
    if type(message) is System:
        await coming.obey(message)
    elif type(message) is Call:
        drop_malformed(message)
    elif tells_to_end(message, parent):
        raise Stop(message.reason)
    elif message is TIMEOUT:
        _expect_none(server, "handle_timeout", await server.handle_timeout())
    else:
        _expect_none(server, "handle_info", await server.handle_info(message))


async def _begin(server: Handlers, init: Callable[[], Awaitable[object]]) -> None:
    _expect_none(server, "init", await init())


async def _stop(server: Handlers, stop: Stop, message: Any) -> NoReturn:
    if type(message) is Call:
        stop.caller = message.caller
    await stopped(stop, server.terminate, _report(server, message))


def _report(server: Handlers, message: Any) -> Callable[[Reason], None]:
    return partial(report_end, server.behaviour, message, server.system_show_state)


async def _fail(server: Handlers, error: CancelledError | Exception, message: Any) -> None:
    current().last_message = asked_in(message)
    await failed(error, server.terminate, _report(server, message))


def _expect_none(server: Handlers, handler: str, result: object) -> None:
    if result is not None:
        raise TypeError(
            f"{handler} of {title(server)} has returned {shown(result)}, and must return nothing: state is kept in "
            "`self`, `raise Stop(reason)` ends it, `self.continue_with(...)` and `self.timeout_after(...)` say what "
            "comes next"
        )


def _check_none(server: Handlers, request: Any) -> None:
    """A handler that forgets its `return` replies None, which is seldom meant."""
    if not getattr(request, "__none_replies__", True):
        raise TypeError(
            f"handle_call of {title(server)} has returned None for {shown(request)}, which has another reply: is a "
            "`return` missing? Return NO_REPLY if the reply comes later, by `reply(caller, value)`"
        )
