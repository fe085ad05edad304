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

- `start_link` returns when `init` has. State is kept in `self`; a handler returns nothing, but `handle_call` the reply.
- A handler that raises ends the server with a `Crash`; one that raises `Stop(reason)` ends it with that reason.
- `self.continue_with(term)` in a handler, or in `init`: `handle_continue(term)` comes next, before any other message,
  and after the reply. Several are done in their order.
- `self.timeout_after(seconds)` in a handler, or in `init`: if no message comes in that time, `handle_timeout()` is
  called. The time begins when the handler is done, and all that it continues with. Any message ends it, and whoever
  wants it again asks again; but a system message (`sys_messages.py`) lets it begin anew.
- A server that traps exits still ends with its parent, and when its node stops. Other exit signals then come to
  `handle_info`; they end a server that does not trap exits without `terminate`, as `KILL` ends any.
- `terminate` runs after `Stop`, after an error in a handler, after `stop`, and with the parent's end if the server
  traps exits. Ends with `NORMAL`, `SHUTDOWN` and `(SHUTDOWN, detail)` are silent; others give a `terminate_report`.
- A call that has timed out is still worked on, unless the handler asks `caller.waiting()` first. Its late reply is
  dropped, and never seen.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Final, Self, cast

from pydist.core.shown import shown
from pydist.gen import lifecycle
from pydist.gen.behaviour import Behaviour, check_callbacks
from pydist.gen.calls import Caller
from pydist.gen.server_loop import Coming, serve, title
from pydist.gen.sys_handling import formatted
from pydist.message import Request
from pydist.messaging import current
from pydist.reports import unexpected_message
from pydist.terms import Reason

HANDLERS: Final = (
    "init",
    "handle_call",
    "handle_cast",
    "handle_info",
    "handle_continue",
    "handle_timeout",
    "terminate",
)


class GenServer(Behaviour):
    """Subclass it and write the handlers you need; see the head of this file."""

    __slots__ = ("__dict__", "__weakref__", "_gen_coming")

    behaviour: ClassVar[str] = "GenServer"
    """What reports call it."""
    _gen_coming: Coming

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_callbacks(cls, HANDLERS)

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self:
        """Ready before any `__init__`, so that handlers can also be tested by themselves."""
        server = super().__new__(cls)
        server._gen_coming = Coming()
        return server

    async def init(self, *args: Any, **kwargs: Any) -> None:
        """Set up the state; runs in the new process before `start_link` returns.

        Raise `Stop(reason)` to fail, `Ignore()` not to start at all.
        """

    async def handle_call(self, request: Request[Any], caller: Caller, /) -> object:
        """Answer a request.

        Returns:
            The reply, or `NO_REPLY` when `reply(caller, value)` follows later.
        """
        raise TypeError(f"{title(self)} has no handle_call for {shown(request)} of {caller.pid}")

    async def handle_cast(self, message: Any, /) -> None:
        """Take a message sent by `cast`."""
        raise TypeError(f"{title(self)} has no handle_cast for {shown(message)}")

    async def handle_info(self, message: Any, /) -> None:
        """Take any other message: what was sent by `send`, `Down`, `Exited`, `NodeUp`, `NodeDown`."""
        unexpected_message(current(), message)

    async def handle_continue(self, term: Any, /) -> None:
        """Go on with what `continue_with(term)` has begun."""
        raise TypeError(f"{title(self)} has no handle_continue for {shown(term)}")

    async def handle_timeout(self) -> None:
        """No message has come in the time that `timeout_after` has set."""
        raise TypeError(f"{title(self)} has called timeout_after, and has no handle_timeout")

    async def terminate(self, reason: Reason, /) -> None:
        """Clean up before the end. Not called when the server is killed, nor by exit signals it does not trap."""

    # -- what a handler can say

    def continue_with(self, term: Any) -> None:
        """Have `handle_continue(term)` called when this handler is done, before any other message is taken."""
        self._gen_coming.then(term)

    def timeout_after(self, seconds: float) -> None:
        """Have `handle_timeout()` called if no message comes in this time, counted from when this handler is done.

        0 is for as soon as the mailbox is empty. A second call in the same handler replaces the first.

        Raises:
            ValueError: not a number from 0.
        """
        self._gen_coming.wait(seconds)

    # -- what the system messages of `sys_messages.py` see

    def system_get_state(self) -> Any:
        """The state: all attributes, by name. To be overridden where it is kept elsewhere."""
        return dict(vars(self))

    def system_replace_state(self, function: Callable[[Any], Any], /) -> Any:
        """Put `function(state)` in the place of the state, and return it. To be overridden with `system_get_state`."""
        state: object = function(self.system_get_state())
        if not isinstance(state, dict):
            raise TypeError(f"the state of {title(self)} is a dict of its attributes, not {shown(state)}")
        vars(self).clear()
        vars(self).update(cast("dict[str, Any]", state))
        return cast("dict[str, Any]", state)

    def format_status(self, state: Any, /) -> Any:
        """What of the state people may see, in `get_status` and in the report of an end. To be overridden where it
        holds secrets, or too much (OTP's `format_status/1`)."""
        return state

    def system_show_state(self) -> Any:
        """What `format_status` makes of the state."""
        return formatted(self, lambda: self.format_status(self.system_get_state()))

    @classmethod
    def _gen_life(cls, args: tuple[Any, ...], kwargs: dict[str, Any]) -> lifecycle.Serve:
        async def live(starter: lifecycle.Starter) -> None:
            server = cls()
            await serve(server, server._gen_coming, partial(server.init, *args, **kwargs), starter)

        return live
