"""The process of a task, and what comes of it: shared by `Task`, its streams and `TaskSupervisor`.

The owner starts the process, monitors it, and only then gives it its order. The monitor is an alias too, and the task
answers to that: so the owner gets one message, a `TaskReply` or a `Down`, and what is not wanted any more is dropped
before the mailbox. A task unlinks itself before it answers: an owner that traps exits hears of it once, not twice.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final, Generic, TypeAlias, TypeVar

import attrs

from pydist.errors import Exit
from pydist.mailbox import MISSING
from pydist.message import Message, distrust
from pydist.messaging import current, receive, send
from pydist.primitives import demonitor, monitor, unlink
from pydist.process import Process
from pydist.runtime import begin, refuse_coroutine
from pydist.terms import SHUTDOWN, Alias, Atom, Down, Exited, Pid, Reason, Ref

R_co = TypeVar("R_co", covariant=True)

Function: TypeAlias = Callable[..., Coroutine[Any, Any, R_co]]

TIMEOUT: Final = Atom("timeout")
"""The reason of a task that was given up because it took too long."""
ORDER_TIME: Final = 5.0
"""Seconds that a task waits for its order. It comes at once, unless its owner was interrupted while it asked a
supervisor to start the task."""


class Returned(Message, Generic[R_co], tag="$returned"):
    """How a task came out that has returned `value` (Elixir's `{:ok, value}`)."""

    value: R_co


class Died(Message, tag="$died"):
    """How a task came out that ended without a result (Elixir's `{:exit, reason}`)."""

    reason: Reason


Outcome: TypeAlias = Returned[R_co] | Died
"""How a task came out."""


class TaskReply(Message, tag="$task_reply"):
    """What a task has returned, on its way to its owner. It ends the monitor `ref`: no `Down` follows."""

    ref: Ref
    value: Any


distrust(TaskReply, Ref)


Answer: TypeAlias = TaskReply | Down
ANSWERS: Final = frozenset({TaskReply, Down})


@attrs.frozen
class _Order:
    """What a task is to do, and where its result goes."""

    reply_to: Alias
    function: Function[Any]
    args: tuple[Any, ...]


def check_function(function: object) -> None:
    """Raise TypeError for what is no function: a coroutine, say, that was called too early."""
    refuse_coroutine("a task", function)
    if not callable(function):
        raise TypeError(f"a task runs an async function, not {function!r}")


def label_of(function: object) -> str:
    """What a task is called in logs and errors."""
    return getattr(function, "__qualname__", repr(function))


def give_order(pid: Pid, function: Function[Any], args: tuple[Any, ...]) -> Ref:
    """Make the calling process the owner of a task that waits for its order; the ref by which the task answers."""
    ref, alias = monitor(pid, alias="reply_demonitor")
    send(pid, _Order(alias, function, args))
    return ref


async def obey(owner: Pid) -> None:
    """The process of a task: wait for the order, carry it out, and answer."""
    order = await _order(monitor(owner))
    current().label = label_of(order.function)
    value = await begin(order.function, order.args)
    unlink(owner)
    send(order.reply_to, TaskReply(order.reply_to.ref, value))


async def _order(watch: Ref) -> _Order:
    try:
        message = await receive(lambda message: type(message) is _Order or is_answer(message, watch), ORDER_TIME)
    except TimeoutError:
        raise Exit((SHUTDOWN, TIMEOUT)) from None
    if type(message) is _Order:
        demonitor(watch, flush=True)  # what comes later is for the function
        return message
    raise Exit((SHUTDOWN, message.reason))


def is_answer(message: Any, ref: Ref) -> bool:
    """Whether it is an answer of the task with this ref."""
    return type(message) in ANSWERS and message.ref == ref


def outcome_of(owner: Process, pid: Pid, answer: Answer) -> Outcome[Any]:
    """What the owner of the task `pid` has received from it, as an outcome."""
    if isinstance(answer, TaskReply):
        return Returned(answer.value)
    flush_exit(owner, pid)
    return Died(answer.reason)


def disown(owner: Process, ref: Ref) -> Any:
    """Let no answer of a task come to its owner any more; the one that has come and was not taken, or MISSING."""
    if owner.remove_monitor(ref):
        return MISSING
    return owner.mailbox.flush(lambda message: is_answer(message, ref))


def flush_exit(owner: Process, pid: Pid) -> None:
    """Take the exit signal of a task out of the mailbox: its owner hears of the end in another way."""
    if owner.trapping:
        owner.mailbox.flush(lambda message: type(message) is Exited and message.pid == pid)
