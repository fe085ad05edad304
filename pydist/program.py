"""A node as a whole program: `run` is all that most programs need."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar, TypeVarTuple, Unpack

from pydist.errors import NodeStartError
from pydist.logs import default_logging
from pydist.node import Node
from pydist.node_options import NodeOptions

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

LONG_SCHEDULE: Final = 0.5
"""Seconds that a step of a process may take under `run` before a warning is logged."""


def run(
    main: Callable[[*Ts], Coroutine[Any, Any, T]],
    *args: *Ts,
    name: str | None = None,
    **options: Unpack[NodeOptions],
) -> T:
    """Start a node, run `main(*args)` as its first process, stop the node, and return what `main` did.

    Runs on uvloop. SIGTERM stops the node in order, as Ctrl-C does; the exit status is then 143. If nobody has
    configured structlog, the log is written as after `configure_logging()`.

    Args:
        main: an async function.
        *args: its arguments.
        name: name@host, or None for a node that is alone.
        **options: `cookie` and the rest, as `Node` has them; but `long_schedule` is half a second by default.

    Raises:
        NodeStartError: the node can't come up as asked, or an event loop runs here already.
        Exit: an exit signal ended `main`.
        KeyboardInterrupt: Ctrl-C.
        Exception: whatever `main` raises.
    """
    _check_no_loop_runs()
    options.setdefault("long_schedule", LONG_SCHEDULE)
    node = Node(name, **options)
    with default_logging(), asyncio.Runner(loop_factory=_new_loop) as runner:
        try:
            return runner.run(_run(node, main, args))
        except KeyboardInterrupt:
            raise KeyboardInterrupt from None  # without the story of how the loop was stopped by it


def _check_no_loop_runs() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise NodeStartError(
        "run() is for the top of a program, and starts an event loop; here one runs already: "
        "in a process use spawn() or a plain await, in asyncio code `Node`"
    )


async def _run(node: Node, main: Callable[..., Coroutine[Any, Any, T]], args: tuple[Any, ...]) -> T:
    terminated = _cancel_on_sigterm()
    try:
        await node.start()
        try:
            return await node.run(main, *args)
        finally:
            await node.stop()
    except asyncio.CancelledError:
        if terminated:
            raise SystemExit(128 + signal.SIGTERM) from None
        raise


def _cancel_on_sigterm() -> list[int]:
    """Let SIGTERM end the running task as Ctrl-C does; the list holds the signal once it has come."""
    task = asyncio.current_task()
    terminated: list[int] = []

    def cancel() -> None:
        terminated.append(signal.SIGTERM)
        if task is not None:
            task.cancel()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, cancel)
    return terminated


def _new_loop() -> asyncio.AbstractEventLoop:
    import uvloop  # noqa: PLC0415  # it is not there on Windows

    return uvloop.new_event_loop()
