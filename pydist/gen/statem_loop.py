"""What the process of a `GenStatem` does: it asks the engine of `core/statem.py` what to call, and does the rest."""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, Never, NoReturn, Protocol, TypeVar

import attrs

from pydist.core.shown import shown
from pydist.core.statem import Callback, CancelTimer, Effect, End, Reply, StartTimer, StateMachine
from pydist.core.transition import KEEP, Transition
from pydist.errors import BadTransition
from pydist.gen.calls import Call, Cast, drop_malformed, is_answerable, reply
from pydist.gen.lifecycle import NO_REPLY, Starter, Stop, asked_in, failed, report_end, stopped, tells_to_end
from pydist.gen.statem_answers import Answer, Event, Info, keep_state, stop_machine
from pydist.gen.sys_handling import SystemSide, formatted
from pydist.gen.sys_requests import System
from pydist.mailbox import MISSING
from pydist.messaging import acting, current, receive
from pydist.send_later import cancel_timer, start_timer
from pydist.terms import Pid, Reason, Ref, Timeout

S = TypeVar("S")
D = TypeVar("D")

BEHAVIOUR: Final = "GenStatem"
TURN: Final = 100
"""Calls of handlers before others get their turn: a machine may be busy with events that it makes itself."""


class Handlers(Protocol[S, D]):
    """A `GenStatem` as its process sees it."""

    async def handle_event(self, event: Event, state: S, data: D, /) -> Answer[S, D]: ...
    async def terminate(self, reason: Reason, state: S, data: D, /) -> None: ...
    def format_status(self, status: dict[str, Any], /) -> Any: ...


@attrs.frozen
class _Expired:
    """To the machine itself, in a `Timeout`, which no bound of its mailbox drops: the time of a timer is over."""

    number: int


async def serve(
    statem: Handlers[S, D], init: Callable[[], Awaitable[Transition[S, D]]], starter: Starter, *, state_enter: bool
) -> None:
    """The whole life of a state machine's process."""

    async def begin() -> StateMachine[S, D]:
        return StateMachine(await init(), state_enter=state_enter)

    driver = _Driver(statem, await starter.run(begin), starter.parent)
    try:
        await driver.run()
    except Stop as stop:
        await stopped(stop, driver.terminate, driver.report)
    except (CancelledError, Exception) as error:
        current().last_message = asked_in(driver.event)
        await failed(error, driver.terminate, driver.report)
        raise


class _Driver(Generic[S, D]):
    """Makes the calls that the machine wants, and does what follows from them."""

    __slots__ = ("_clock", "_machine", "_parent", "_pid", "_statem", "_system", "_timers")

    def __init__(self, statem: Handlers[S, D], machine: StateMachine[S, D], parent: Pid | None) -> None:
        process, runtime = acting()
        self._pid = process.pid
        self._parent = parent
        self._clock = runtime.loop.time
        self._statem = statem
        self._machine = machine
        self._timers: dict[int, Ref] = {}
        self._system = SystemSide(self, BEHAVIOUR, parent)

    async def run(self) -> NoReturn:
        machine, handle_event = self._machine, self._statem.handle_event
        self._perform(machine.start(self._clock()))
        turn = TURN
        while True:
            call = machine.next_call()
            if call is None:
                await self._hear()
                turn = TURN
                continue
            try:
                answer = await handle_event(call.event, call.state, call.data)
            except Stop as stop:
                answer = _answer_of(stop, call.event)
            self._perform(self._take(call, answer))
            turn -= 1
            if not turn:
                await asyncio.sleep(0)
                turn = TURN

    async def terminate(self, reason: Reason) -> None:
        await self._statem.terminate(reason, self._machine.state, self._machine.data)

    async def _hear(self) -> None:
        message: Any = await receive()
        if type(message) is System:
            await self._system.handle(message)
            return
        if type(message) is Timeout and type(message.message) is _Expired:
            self._expire(message.message.number)
            return
        if self._system.debugging:
            self._system.note("in", message)
        if type(message) is Call and not is_answerable(message.caller):
            drop_malformed(message)
        elif type(message) is Call or type(message) is Cast:
            self._machine.receive(message)
        elif tells_to_end(message, self._parent):
            raise Stop(message.reason)
        else:
            self._machine.receive(Info(message))

    def _expire(self, number: int) -> None:
        self._timers.pop(number, None)
        self._machine.expire(number)

    def _take(self, call: Callback[S, D], answer: Answer[S, D]) -> list[Effect]:
        if self._system.debugging:
            self._note(call, answer)
        try:
            return self._machine.take(answer, self._clock())
        except BadTransition as error:
            where = f"{type(self._statem).__qualname__}, {shown(call.event)} in the state {shown(call.state)}"
            raise BadTransition(f"{where}: {error}") from None

    def _note(self, call: Callback[S, D], answer: Answer[S, D]) -> None:
        transition = answer if isinstance(answer, Transition) else keep_state()
        next_state = call.state if transition.state is KEEP else transition.state
        self._system.note("postpone" if transition.postpone else "consume", (call.event, call.state, next_state))

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Reply():
                    reply(effect.caller, effect.value)
                    if self._system.debugging:
                        self._system.note("out", effect.value, effect.caller.pid)
                case StartTimer():
                    delay = max(0.0, effect.when - self._clock())
                    self._timers[effect.number] = start_timer(delay, self._pid, _Expired(effect.number))
                case CancelTimer():
                    cancel_timer(self._timers.pop(effect.number))
                case End():
                    raise Stop(effect.reason)

    # -- what others see of it

    @property
    def event(self) -> Any:
        """The event that the handler has had when the machine ended; MISSING if it had none."""
        return MISSING if self._machine.event is None else self._machine.event

    def report(self, reason: Reason) -> None:
        """The machine ends."""
        report_end(BEHAVIOUR, self.event, self.system_show_state, reason)

    def system_get_state(self) -> tuple[S, D]:
        return self._machine.state, self._machine.data

    def system_replace_state(self, function: Callable[[Any], Any], /) -> Any:
        pair: Any = function(self.system_get_state())
        if pair.__class__ is not tuple or len(pair) != 2:
            raise TypeError(f"the state of a state machine is a pair (state, data), not {shown(pair)}")
        self._machine.state, self._machine.data = pair
        return pair

    def system_show_state(self) -> Any:
        return formatted(self._statem, lambda: self._statem.format_status(self._machine.describe()))


def _answer_of(stop: Stop, event: Event) -> Answer[Never, Never]:
    """To raise `Stop` is to answer so."""
    if stop.reply is NO_REPLY:
        return stop_machine(stop.reason)
    if isinstance(event, Call):
        return stop_machine(stop.reason, reply=(event.caller, stop.reply))
    raise TypeError(f"Stop(reply=...) answers a call, and the event was {shown(event)}") from stop
