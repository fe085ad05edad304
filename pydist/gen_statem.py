"""`GenStatem`: a process that is a state machine (OTP's `gen_statem`).

    class Lock(Enum):
        LOCKED = "locked"
        OPEN = "open"

    class Press(Message):
        digit: str

    class IsOpen(Request[bool]):
        pass

    class Door(GenStatem[Lock, str]):
        async def init(self, code: str) -> Transition[Lock, str]:
            self.code = code
            return next_state(Lock.LOCKED, "")

        @in_state(Lock.LOCKED)
        async def locked(self, event: Event, pressed: str) -> Answer[Lock, str]:
            match event:
                case Cast(Press(digit)):
                    pressed = (pressed + digit)[-len(self.code) :]
                    if pressed == self.code:
                        return next_state(Lock.OPEN, "", state_timeout=10.0)
                    return keep_state(pressed, event_timeout=30.0)
                case EventTimeout():
                    return keep_state("")
                case Call(caller, IsOpen()):
                    return keep_state(reply=(caller, False))
                case _:
                    return self.unhandled(event)

        @in_state(Lock.OPEN)
        async def opened(self, event: Event, pressed: str) -> Answer[Lock, str]:
            match event:
                case StateTimeout():
                    return next_state(Lock.LOCKED)
                case Cast(Press()):
                    return keep_state(postpone=True)
                case Call(caller, IsOpen()):
                    return keep_state(reply=(caller, True))
                case _:
                    return self.unhandled(event)

    door = await Door.start_link("1234")
    for digit in "1234":
        cast(door, Press(digit))
    assert await call(door, IsOpen())

The state decides which handler gets an event; the data go through all of them, here what has been pressed so far.
Thirty seconds without a digit, and the door forgets. It is open for ten; what is pressed meanwhile counts when it has
locked again.

The contract:

- A handler gets an event (`Call`, `Cast`, `Info`, a timeout, ...) and the data, and returns what is to follow: see
  `statem_answers.py` for the answers, and the head of `core/statem.py` for the order of events.
- States are any values that can be compared. Either each has its own method, marked by `in_state`; or the class
  overrides `handle_event`, which gets every event, and may leave some to the methods by `super().handle_event(...)`.
- With `class Door(GenStatem[Lock, str], state_enter=True)` the handler of a state is called with `Enter` whenever the
  machine comes into it, at the start too.
- A call is answered by the action `reply=(caller, value)`, or by `reply(caller, value)` at any time.
- It starts, is called, is cast to and ends as a `GenServer`; `terminate` gets state and data too. For the system
  messages of `sys_messages.py` its state is the pair `(state, data)`.

What OTP has besides is not here, on purpose. There is no change of the callback module: in Erlang a module is all there
is to exchange, while here `handle_event` can pass events on to any object, which may stand in the data. And there is no
hibernation, since there is no heap of its own that a process could free.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from enum import EnumType
from functools import partial
from typing import Any, ClassVar, Final, Generic, TypeVar, get_args, get_origin

from pydist.core.shown import shown
from pydist.core.transition import Enter, Transition
from pydist.gen import lifecycle
from pydist.gen.behaviour import Behaviour, check_callbacks
from pydist.gen.statem_answers import Answer, Event, Info
from pydist.gen.statem_loop import serve
from pydist.messaging import current
from pydist.reports import unexpected_message
from pydist.terms import Reason

S = TypeVar("S")
D = TypeVar("D")
F = TypeVar("F", bound=Callable[..., Awaitable[Any]])

_STATES: Final = "__states__"


def in_state(*states: object) -> Callable[[F], F]:
    """Mark the method that handles all events in these states: `async def handler(self, event, data)`."""
    if not states:
        raise TypeError("in_state takes the states that the method is for, as in @in_state(Lock.OPEN)")

    def mark(function: F) -> F:
        setattr(function, _STATES, states)
        return function

    return mark


class GenStatem(Behaviour, Generic[S, D]):
    """See the head of this file.

    `GenStatem[S, D]` is one whose states are of type `S` and whose data are of type `D`. If `S` is an `Enum`, a class
    that lacks the handler of one of its states is an error.
    """

    _handlers: ClassVar[Mapping[Any, str]] = {}
    """The name of the method for each state."""
    _state_enter: ClassVar[bool] = False

    def __init_subclass__(cls, *, state_enter: bool | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if state_enter is not None:
            cls._state_enter = state_enter
        cls._handlers = _handlers(cls)
        check_callbacks(cls, ("init", "handle_event", "terminate", *cls._handlers.values()))
        if not any("handle_event" in vars(each) for each in cls.__mro__ if each is not GenStatem):
            _check_complete(cls)

    async def init(self, *args: Any, **kwargs: Any) -> Transition[S, D]:
        """Set up the machine; runs in the new process before `start_link` returns.

        Raise `Stop(reason)` to fail, `Ignore()` not to start at all.

        Returns:
            `next_state(state, data)` with the first state and the first data, and actions if need be.
        """
        raise NotImplementedError(f"{type(self).__qualname__} has no init that returns next_state(state, data)")

    async def handle_event(self, event: Event, state: S, data: D, /) -> Answer[S, D]:
        """Handle an event; without an override, by the method of the state.

        Returns:
            What is to follow: `next_state(...)`, `keep_state(...)`, `repeat_state(...)`, `stop_machine(...)`; None to
            keep state and data.
        """
        name = self._handlers.get(state)
        if name is None:
            raise TypeError(
                f"{type(self).__qualname__} has no handler for the state {shown(state)}, to take {shown(event)}"
            )
        answer: Answer[S, D] = await getattr(self, name)(event, data)
        return answer

    def unhandled(self, event: Event) -> Answer[S, D]:
        """For the last case of a handler: an unexpected message is logged, a state needs no `Enter`.

        Raises:
            TypeError: any other event; one that nobody handles is a mistake.
        """
        match event:
            case Info(message):
                unexpected_message(current(), message)
            case Enter():
                pass
            case _:
                raise TypeError(f"{type(self).__qualname__} does not handle {shown(event)} in this state")
        return None

    async def terminate(self, reason: Reason, state: S, data: D, /) -> None:
        """Clean up before the end. Not called when the machine is killed, nor by exit signals it does not trap."""

    def format_status(self, status: dict[str, Any], /) -> Any:
        """What people may see, in `get_status` and in the report of an end. To be overridden where that holds secrets,
        or too much (OTP's `format_status/1`).

        Args:
            status: "state" and "data"; and the events that wait, in "queue" (the one that is being handled first),
                "postponed" and "timeouts".
        """
        return status

    @classmethod
    def _gen_life(cls, args: tuple[Any, ...], kwargs: dict[str, Any]) -> lifecycle.Serve:
        async def live(starter: lifecycle.Starter) -> None:
            statem = cls()
            await serve(statem, partial(statem.init, *args, **kwargs), starter, state_enter=cls._state_enter)

        return live


# -- which method is for which state


def _handlers(cls: type[GenStatem[Any, Any]]) -> dict[Any, str]:
    handlers: dict[Any, str] = {}
    for each in reversed(cls.__mro__):
        here: dict[Any, str] = {}
        for name, function in vars(each).items():
            for state in getattr(function, _STATES, ()):
                if state in here:
                    raise TypeError(f"{each.__qualname__} has two handlers for {state!r}: {here[state]} and {name}")
                here[state] = name
        handlers |= here
    return handlers


def _check_complete(cls: type[GenStatem[Any, Any]]) -> None:
    for base in vars(cls).get("__orig_bases__", ()):
        args: tuple[Any, ...] = get_args(base)
        states: Any = args[0] if args and issubclass(get_origin(base) or object, GenStatem) else None
        members: list[Any] = list(states) if isinstance(states, EnumType) else []
        for state in members:
            if state not in cls._handlers:
                raise TypeError(f"{cls.__qualname__} has no handler for {state}: mark one with @in_state({state})")
