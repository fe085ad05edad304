"""Messages to be sent later: `send_after`, `start_timer`, `send_interval`, and how to stop them.

The timer service stands beside the processes: between what it sends and what others send no order is promised. A
message that has been sent is not taken back by `cancel_timer`, which then returns None. Whoever must not see it any
more looks for it: with `start_timer`, `cancel_timer(ref)` and then `receive(ref, 0)`.
"""

from __future__ import annotations

from collections.abc import Callable
from sys import float_info
from typing import Any, Final, TypeVar

from pydist.core.names import check_name
from pydist.messaging import acting
from pydist.process import Process
from pydist.runtime import Runtime
from pydist.terms import Pid, Ref, Timeout, is_pid

M = TypeVar("M")

SHORTEST_PERIOD: Final = 0.001
"""Seconds; Erlang's timers are no finer, and one that always has work would leave others little time."""


def send_after(delay: float, target: Pid[M] | str, message: M) -> Ref:
    """Send `message` in `delay` seconds (Erlang's `erlang:send_after/3`).

    The timer outlives the process that starts it. It ends with the one that `target` names; a name is looked up when
    the time has come, and if nobody has it then, the message is dropped.

    Args:
        delay: seconds from now, 0 or more. With 0 it is sent soon, and not within this call.
        target: a process of this node, or a name of it.
        message: any value.

    Returns:
        What `cancel_timer` and `read_timer` take. What is due at the same time is sent in the order of the calls.

    Raises:
        TypeError, ValueError: the delay is no such number, or the target no such process or name.
    """
    return _start("send_after", delay, target, lambda _ref: message)


def start_timer(delay: float, target: Pid[Timeout] | str, message: Any) -> Ref:
    """As `send_after`, but what is sent is `Timeout(ref, message)` (Erlang's `erlang:start_timer/3`).

    By the ref, which is what this function returns, the receiver tells an earlier timer's message from a later one's,
    and `receive(ref)` waits for this one.
    """
    return _start("start_timer", delay, target, lambda ref: Timeout(ref, message))


def send_interval(period: float, target: Pid[M] | str, message: M) -> Ref:
    """Send `message` every `period` seconds, the first time in `period` seconds (Erlang's `timer:send_interval/3`).

    It goes on until `cancel_timer`, or the end of the process that `target` names now; if nobody has that name, it does
    not begin. A name is looked up anew for each message. A message that is late makes those behind it no later.
    One that finds a bounded mailbox full is left out, and is a dead letter.

    Args:
        period: seconds, 0.001 or more.
        target: a process of this node, or a name of it.
        message: any value.

    Raises:
        TypeError, ValueError: as for `send_after`.
    """
    return _start("send_interval", period, target, lambda _ref: message, repeat=True)


def cancel_timer(ref: Ref) -> float | None:
    """Stop a timer of this node; any process may (Erlang's `erlang:cancel_timer/1`).

    Returns:
        The seconds that were left; None if there is no such timer: it has fired, was cancelled, or ended with its
        receiver.
    """
    _check_ref("cancel_timer", ref)
    return acting()[1].message_timers.cancel(ref)


def read_timer(ref: Ref) -> float | None:
    """The seconds until a timer of this node fires, for an interval the next time (Erlang's `erlang:read_timer/1`).

    None as for `cancel_timer`.
    """
    _check_ref("read_timer", ref)
    return acting()[1].message_timers.left(ref)


def _start(
    function: str, delay: float, target: Pid | str, message_for: Callable[[Ref], Any], *, repeat: bool = False
) -> Ref:
    process, runtime = acting()
    seconds = _seconds(function, delay, SHORTEST_PERIOD if repeat else 0)
    receiver = _receiver(function, runtime, target)
    ref = runtime.new_ref()
    if receiver is process:
        process.mailbox.mark(ref)
    ends_with_receiver = repeat or isinstance(target, Pid)
    if receiver is None and ends_with_receiver:
        return ref  # it has ended before it began
    ends_with = receiver if ends_with_receiver else None
    if ends_with is not None:
        ends_with.holding = True
    runtime.message_timers.start(
        ref,
        seconds,
        target if isinstance(target, Pid) else (target, runtime.node),
        message_for(ref),
        ends_with=None if ends_with is None else ends_with.pid.number,
        period=seconds if repeat else None,
    )
    return ref


def _seconds(function: str, value: object, least: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{function} takes a number of seconds, not {value!r}")
    if not least <= value <= float_info.max:  # nan is not
        raise ValueError(f"{function} takes a finite number of seconds from {least} up, not {value}")
    return float(value)


def _receiver(function: str, runtime: Runtime, target: object) -> Process | None:
    if isinstance(target, str):
        check_name(target)
        return runtime.names.holder(target)
    if not is_pid(target):
        raise TypeError(f"{function} takes a Pid or a name of this node, not {target!r}")
    if not runtime.is_local(target):
        raise ValueError(
            f"{target} lives on another node, and {function} sends on this one only: start the timer there"
        )
    return runtime.process(target)


def _check_ref(function: str, ref: object) -> None:
    if not isinstance(ref, Ref):
        raise TypeError(f"{function} takes the Ref that start_timer, send_after or send_interval returned, not {ref!r}")
