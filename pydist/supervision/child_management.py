"""What can be asked of a supervisor about its children (OTP's `supervisor`, Elixir's `DynamicSupervisor`).

Each call waits for as long as the supervisor needs, as OTP's do: it answers when a child that it starts has started,
and one that it stops has stopped. So a child that calls its own supervisor in its `init` waits for ever.
"""

from __future__ import annotations

from typing import TypeVar

from pydist.core.shown import shown
from pydist.errors import ChildError, StartError
from pydist.gen.addresses import Server
from pydist.gen.calls import call
from pydist.supervision.children import (
    ChildInfo,
    ChildKey,
    ChildSpec,
    CountChildren,
    DeleteChild,
    Failed,
    GetChildspec,
    RestartChild,
    StartChild,
    TerminateChild,
    WhichChildren,
    check_spec,
)
from pydist.terms import Pid

T = TypeVar("T")


async def start_child(supervisor: Server, spec: ChildSpec) -> Pid | None:
    """Add a child and start it, last in the order; its pid, or None if its `init` raised `Ignore`.

    Under a `Supervisor`, one that was ignored stays known unless it is temporary; under a `DynamicSupervisor` it does
    not.

    Raises:
        ChildError: "already_started" (with its `pid`) or "already_present", a child of that id exists; "max_children";
            "bad_combination", it is significant, and the supervisor's `auto_shutdown` is never.
        StartError: it did not start; it is not kept.
        TypeError: `spec` was not made by `child`.
    """
    return _value(await call(supervisor, StartChild(check_spec(spec)), timeout=None))


async def terminate_child(supervisor: Server, id: ChildKey) -> None:  # noqa: A002  # OTP's name
    """Stop a child, by its id; under a `DynamicSupervisor` by its pid, even one of which the restart is being tried.

    Under a `Supervisor` it stays known unless it is temporary, and can be restarted. It is no error if it runs no more.

    Raises:
        ChildError: "not_found".
    """
    _value(await call(supervisor, TerminateChild(id), timeout=None))


async def restart_child(supervisor: Server, id: ChildKey) -> Pid | None:  # noqa: A002  # OTP's name
    """Start a child again that does not run; its pid, or None if its `init` raised `Ignore`.

    Raises:
        ChildError: "running", "restarting" or "not_found"; "simple_one_for_one" from a `DynamicSupervisor`.
        StartError: it did not start; it stays known.
    """
    return _value(await call(supervisor, RestartChild(id), timeout=None))


async def delete_child(supervisor: Server, id: ChildKey) -> None:  # noqa: A002  # OTP's name
    """Forget a child that does not run.

    Raises:
        ChildError: "running", "restarting" or "not_found"; "simple_one_for_one" from a `DynamicSupervisor`.
    """
    _value(await call(supervisor, DeleteChild(id), timeout=None))


async def get_childspec(supervisor: Server, id: ChildKey) -> ChildSpec:  # noqa: A002  # OTP's name
    """How a child is described. The start of a temporary child is not kept: what comes instead starts nothing.

    Raises:
        ChildError: "not_found"; "not_here", the supervisor is on another node, and a start can't cross.
    """
    return _value(await call(supervisor, GetChildspec(id), timeout=None))


async def which_children(supervisor: Server) -> list[ChildInfo]:
    """All children, in the order of their start."""
    return await call(supervisor, WhichChildren(), timeout=None)


async def count_children(supervisor: Server) -> dict[str, int]:
    """How many children there are: `specs`, all that are known; `active`, those that run; and of those known,
    `supervisors` and `workers`."""
    return await call(supervisor, CountChildren(), timeout=None)


def _value(answer: T | Failed) -> T:
    if isinstance(answer, Failed):
        text = f"the process did not start: {shown(answer.reason)}"
        raise StartError(answer.reason, text) if answer.start else ChildError(answer.id, answer.reason, answer.pid)
    return answer
