"""`GenServer`: a process that keeps state and answers requests, one at a time (OTP's `gen_server`).

    class Counter(GenServer):
        async def init(self, start: int = 0) -> None:
            self.value = start

        async def handle_call(self, request: Request[Any], caller: Caller) -> object:
            match request:
                case Increment(by):
                    self.value += by
                    return self.value

    counter = await Counter.start_link(10)
    assert await call(counter, Increment(2)) == 12

The contract:

- `start_link` returns when `init` has; a server that traps exits still ends when its parent does.
- A handler that raises ends the server with a `Crash`; one that raises `Stop(reason)` ends it with that reason.
- `terminate` runs after `Stop`, after an error in a handler, and when the parent ends; other exit signals of a server
  that traps exits come to `handle_info`, and end one that does not without `terminate`, as `KILL` ends any.
- A call that has timed out is still worked on: the server does not know. Its late reply is dropped, and never seen.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from inspect import iscoroutinefunction
from typing import Any, NoReturn

import structlog

from pydist.addresses import Name
from pydist.calls import Call, Caller, Cast, reply
from pydist.errors import Exit
from pydist.gen import NO_REPLY, Starter, Stop, failed, start, stopped
from pydist.message import Request
from pydist.messaging import receive
from pydist.primitives import self_pid
from pydist.terms import Exited, Pid, Reason

log = structlog.get_logger("pydist")


class GenServer:
    """Subclass it and write the handlers you need; see the head of this file."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in ("init", "handle_call", "handle_cast", "handle_info", "terminate"):
            if name in vars(cls) and not iscoroutinefunction(vars(cls)[name]):
                raise TypeError(f"{cls.__qualname__}.{name} is no async function: write `async def {name}`")

    async def init(self, *args: Any, **kwargs: Any) -> None:
        """Set up the state; runs in the new process before `start_link` returns.

        Raise `Stop(reason)` to fail, `Ignore()` not to start at all.
        """

    async def handle_call(self, request: Request[Any], caller: Caller, /) -> object:
        """Answer a request.

        Returns:
            The reply, or `NO_REPLY` when `reply(caller, value)` follows later.
        """
        raise TypeError(f"{type(self).__qualname__} has no handle_call for {request!r} of {caller.alias.pid}")

    async def handle_cast(self, message: Any, /) -> None:
        """Take a message sent by `cast`."""
        raise TypeError(f"{type(self).__qualname__} has no handle_cast for {message!r}")

    async def handle_info(self, message: Any, /) -> None:
        """Take any other message: what was sent by `send`, `Down`, `Exited`, `NodeUp`, `NodeDown`."""
        log.warning("unexpected_message", server=type(self).__qualname__, pid=self_pid(), message=message)

    async def terminate(self, reason: Reason, /) -> None:
        """Clean up before the end. Not called when the server is killed, nor by exit signals it does not trap."""

    @classmethod
    async def start_link(cls, *args: Any, name: Name | None = None, **kwargs: Any) -> Pid:
        """Start a server linked to the caller; returns when its `init(*args, **kwargs)` has.

        Raises:
            AlreadyStarted: `name` belongs to a living process.
            StartError: `init` failed, with its exit reason. A caller that does not trap exits gets the exit signal too.
        """
        serve = partial(_serve, cls, lambda server: server.init(*args, **kwargs))
        pid: Pid = await start(serve, name, label=cls.__qualname__, link=True)
        return pid

    @classmethod
    async def start(cls, *args: Any, name: Name | None = None, **kwargs: Any) -> Pid:
        """As `start_link`, without a link."""
        serve = partial(_serve, cls, lambda server: server.init(*args, **kwargs))
        pid: Pid = await start(serve, name, label=cls.__qualname__)
        return pid


async def _serve(cls: type[GenServer], init: Callable[[GenServer], Awaitable[None]], starter: Starter) -> None:
    server = cls()
    await starter.run(partial(init, server))
    try:
        await _loop(server, starter.parent)
    except Stop as stop:
        await stopped(stop, server.terminate)
    except (Exit, Exception) as error:
        await failed(error, server.terminate)
        raise


async def _loop(server: GenServer, parent: Pid | None) -> NoReturn:
    while True:
        message: object = await receive()
        if type(message) is Call:
            await _answer(server, message)
        elif type(message) is Cast:
            await server.handle_cast(message.message)
        elif type(message) is Exited and message.pid == parent:
            raise Stop(message.reason)
        else:
            await server.handle_info(message)


async def _answer(server: GenServer, message: Call) -> None:
    try:
        value = await server.handle_call(message.request, message.caller)
    except Stop as stop:
        if stop.reply is not NO_REPLY:
            stop.caller = message.caller  # answered after `terminate`, as OTP does
        raise
    if value is not NO_REPLY:
        reply(message.caller, value)
