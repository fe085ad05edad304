"""`python -m pydist.child_node`: the program of a child node, started by a `PeerNode` (`peer_node.py`).

It reads its setup from standard input, and stops when that ends: it was told to, or whoever has started it is no more.
For that it does not trust the event loop, which may be busy with anything: a thread waits for the end of the input, and
a timer in C ends the program if it does not stop in order. Where the system can (Linux), it kills the child together
with the program that has started it.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from inspect import iscoroutinefunction
from typing import Any, Final

from pydist.application import Application
from pydist.applications import serve_applications
from pydist.core.child_setup import SETUP_LIMIT, ChildReport, ChildSetup, NotUp, Up, report_line
from pydist.errors import NodeStartError
from pydist.messaging import receive
from pydist.net_kernel import connect_node
from pydist.program import run

PR_SET_PDEATHSIG: Final = 1
STATUS_NOT_UP: Final = 1

Report = Callable[[ChildReport], None]


class NoWork(Exception):
    """What the child is to do can't be found. The text says why."""


def main() -> int:
    """Read the setup, run the node; the exit status."""
    try:
        setup = ChildSetup.read(_first_line(0))
    except ValueError as error:
        print(f"pydist.child_node: {error}: this program is for PeerNode.start_link to start", file=sys.stderr)  # noqa: T201  # a command's complaint
        return 2
    answer = os.dup(1)
    os.set_inheritable(answer, False)

    def report(what: ChildReport) -> None:
        sys.stdout.flush()
        os.write(answer, report_line(setup.token, what))

    _end_with_starter(setup.grace)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue,reportUnknownMemberType]  # a text file
    return _live(setup, report)


def _live(setup: ChildSetup, report: Report) -> int:
    up: list[int] = []

    def once_up() -> None:
        up.append(1)
        report(Up(os.getpid()))

    try:
        _settle_in(setup)
        work = _work(setup, once_up)
        run(_connected, setup.starter, work, name=setup.node, cookie=setup.cookie, **setup.options)
    except (Exception, SystemExit) as error:
        if isinstance(error, SystemExit) and up:
            raise
        if not isinstance(error, NoWork | NodeStartError):
            traceback.print_exc()
        if not up:
            report(NotUp(_in_words(error)))
        return STATUS_NOT_UP
    return 0


def _in_words(error: BaseException) -> str:
    return str(error) if isinstance(error, NoWork | NodeStartError) else f"{type(error).__qualname__}: {error}"


# -- the end


def _first_line(descriptor: int) -> bytes:
    """Up to the end of the line, and not a byte more. Raises ValueError."""
    line = bytearray()
    while not line.endswith(b"\n"):
        if len(line) > SETUP_LIMIT:
            raise ValueError("the setup is too long")
        more = os.read(descriptor, 1)
        if not more:
            raise ValueError("no setup came by standard input")
        line += more
    return bytes(line)


def _end_with_starter(grace: float) -> None:
    """Watch standard input, and give the program an empty one in its place."""
    watched = os.dup(0)
    os.set_inheritable(watched, False)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    threading.Thread(target=_watch, args=(watched, grace), name="starter", daemon=True).start()


def _watch(watched: int, grace: float) -> None:
    with suppress(OSError):
        while os.read(watched, 4096):
            pass
    faulthandler.dump_traceback_later(grace, exit=True, file=2)  # needs no interpreter, which may be held
    os.kill(os.getpid(), signal.SIGTERM)


# -- the work


def _settle_in(setup: ChildSetup) -> None:
    os.environ.update(setup.env)
    sys.path += [entry for entry in setup.path if entry not in sys.path]
    if setup.cpus is not None:
        try:
            os.sched_setaffinity(0, setup.cpus)
        except OSError as error:
            raise NoWork(f"it can't have the processors {list(setup.cpus)}: {error.strerror}") from error
    for module in setup.modules:
        _import(module)


def _work(setup: ChildSetup, up: Callable[[], None]) -> Callable[[], Coroutine[Any, Any, None]]:
    """What is done once the node is connected."""
    if setup.applications:
        return partial(_serve, [_application(name) for name in setup.applications], up)
    function = None if setup.run is None else _named(setup.run)
    if function is not None and not iscoroutinefunction(function):
        raise NoWork(f"{setup.run} is no async function")
    return partial(_run, function, setup.args, up)


def _import(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise NoWork(f"the module {module!r} can't be imported: {error}") from error
    except Exception as error:
        traceback.print_exc()
        raise NoWork(f"the module {module!r} failed when it was imported: {type(error).__name__}: {error}") from error


def _named(name: str) -> Any:
    module, _, path = name.partition(":")
    found = _import(module)
    for step in path.split("."):
        try:
            found = getattr(found, step)
        except AttributeError:
            raise NoWork(f"the module {module!r} has no {path!r}") from None
    return found


def _application(name: str) -> type[Application]:
    found = _named(name)
    if not (isinstance(found, type) and issubclass(found, Application)):
        raise NoWork(f"{name} is no Application class")
    return found


async def _connected(starter: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    if not await connect_node(starter):
        raise NoWork(f"it can't connect to its starter {starter}: its log says why")
    await work()


async def _run(
    function: Callable[..., Coroutine[Any, Any, Any]] | None, args: Sequence[Any], up: Callable[[], None]
) -> None:
    up()
    if function is not None:
        await function(*args)
    while True:  # the node stays until it is told to stop
        await receive()


async def _serve(applications: Sequence[type[Application]], up: Callable[[], None]) -> None:
    class AllStarted(Application):
        """Starts after all others."""

        name = "all_started"

        async def start(self) -> None:
            up()

    AllStarted.applications = [each.name for each in applications]
    await serve_applications([*applications, AllStarted])


if __name__ == "__main__":
    sys.exit(main())
