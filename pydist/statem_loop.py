"""What the process of a `GenStatem` does: it asks the engine of `core/statem.py` what to call, and does the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Generic, Never, NoReturn, Protocol, TypeVar

import attrs

from pydist.calls import Call, Cast, reply
from pydist.core.statem import Callback, CancelTimer, Effect, End, Reply, StartTimer, StateMachine
from pydist.core.transition import Transition
from pydist.errors import BadTransition, Exit
from pydist.gen import NO_REPLY, Starter, Stop, failed, stopped
from pydist.messaging import acting, receive
from pydist.send_later import cancel_timer, send_after
from pydist.statem_answers import Answer, Event, Info, stop_machine
from pydist.terms import Exited, Pid, Reason, Ref

S = TypeVar("S")
D = TypeVar("D")

TURN: Final = 100
"""Calls of handlers before others get their turn: a machine may be busy with events that it makes itself."""


class Handlers(Protocol[S, D]):
    """A `GenStatem` as its process sees it."""

    async def handle_event(self, event: Event, state: S, data: D, /) -> Answer[S, D]: ...
    async def terminate(self, reason: Reason, state: S, data: D, /) -> None: ...


@attrs.frozen
class _Expired:
    """To the machine itself: the time of a timer is over."""

    number: int


async def serve(
    statem: Handlers[S, D], init: Callable[[], Awaitable[Transition[S, D]]], starter: Starter, *, state_enter: bool
) -> None:
    """The whole life of a state machine's process."""

    async def begin() -> StateMachine[S, D]:
        return StateMachine(await init(), state_enter=state_enter)

    driver = _Driver(statem, await starter.run(begin))
    try:
        await driver.run(starter.parent)
    except Stop as stop:
        await stopped(stop, driver.terminate)
    except (Exit, Exception) as error:
        await failed(error, driver.terminate)
        raise


class _Driver(Generic[S, D]):
    """Makes the calls that the machine wants, and does what follows from them."""

    def __init__(self, statem: Handlers[S, D], machine: StateMachine[S, D]) -> None:
        process, runtime = acting()
        self._pid = process.pid
        self._clock = runtime.loop.time
        self._statem = statem
        self._machine = machine
        self._timers: dict[int, Ref] = {}

    async def run(self, parent: Pid | None) -> NoReturn:
        machine, handle_event = self._machine, self._statem.handle_event
        self._perform(machine.start(self._clock()))
        turn = TURN
        while True:
            call = machine.next_call()
            if call is None:
                self._hear(await receive(), parent)
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

    def _hear(self, message: object, parent: Pid | None) -> None:
        if type(message) is Call or type(message) is Cast:
            self._machine.receive(message)
        elif type(message) is _Expired:
            self._timers.pop(message.number, None)
            self._machine.expire(message.number)
        elif type(message) is Exited and message.pid == parent:
            raise Stop(message.reason)
        else:
            self._machine.receive(Info(message))

    def _take(self, call: Callback[S, D], answer: Answer[S, D]) -> list[Effect]:
        try:
            return self._machine.take(answer, self._clock())
        except BadTransition as error:
            where = f"{type(self._statem).__qualname__}, {call.event!r} in the state {call.state!r}"
            raise BadTransition(f"{where}: {error}") from None

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Reply():
                    reply(effect.caller, effect.value)
                case StartTimer():
                    delay = max(0.0, effect.when - self._clock())
                    self._timers[effect.number] = send_after(delay, self._pid, _Expired(effect.number))
                case CancelTimer():
                    cancel_timer(self._timers.pop(effect.number))
                case End():
                    raise Stop(effect.reason)


def _answer_of(stop: Stop, event: Event) -> Answer[Never, Never]:
    """To raise `Stop` is to answer so."""
    if stop.reply is NO_REPLY:
        return stop_machine(stop.reason)
    if isinstance(event, Call):
        return stop_machine(stop.reason, reply=(event.caller, stop.reply))
    raise TypeError(f"Stop(reply=...) answers a call, and the event was {event!r}") from stop
