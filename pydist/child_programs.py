"""Programs that a process starts: their standard input, what they write, and their end.

Closing its standard input asks a program to end; it is killed if it has not in time. Whoever has started one hands it
that way, so that even a process that is killed leaves none behind. Should this program itself be killed, the system
closes the pipe.
"""

from __future__ import annotations

import asyncio
from asyncio import SubprocessTransport
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol, cast

from pydist.core.child_console import Stream

READ_LIMIT: Final = 1024 * 1024
"""Bytes that are read of one program in `READ_PERIOD`: one that writes more waits, and nobody else does."""
READ_PERIOD: Final = 0.1
LINGER: Final = 0.5
"""Seconds after its end in which the pipes of a program may still be held open by what it has started."""

Heard = Callable[[Stream, bytes], None]
"""Is told what a program writes; no bytes are the end of that stream."""

_STREAMS: Final[dict[int, Stream]] = {1: "stdout", 2: "stderr"}


class Program(Protocol):
    """A program that was started."""

    @property
    def status(self) -> int | None:
        """Its exit status, below 0 for the number of a signal that has ended it; None while it runs."""
        ...

    async def ended(self, timeout: float | None = None) -> int | None:
        """Wait until it has ended and all that it wrote was heard, `timeout` seconds at most; its status."""
        ...

    def let_go(self, grace: float) -> None:
        """Close its standard input; kill it if it has not ended in `grace` seconds. Does not wait."""
        ...


async def start_program(
    command: Sequence[str],
    heard: Heard,
    first_line: bytes,
    *,
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
) -> Program:
    """Start a program, in a session of its own: Ctrl-C at the terminal is not for it.

    Args:
        command: the program and its arguments.
        heard: called in the event loop.
        first_line: what it reads first.
        cwd: its directory; that of this program by default.
        env: its environment; that of this program by default.

    Raises:
        OSError: it can't be run.
    """
    loop = asyncio.get_running_loop()
    transport, program = await loop.subprocess_exec(
        lambda: _Program(loop, heard),
        *command,
        cwd=cwd,
        env=None if env is None else dict(env),
        start_new_session=True,
    )
    stdin = _pipe(transport, 0)
    if stdin is not None and not stdin.is_closing():  # it may have ended already
        stdin.write(first_line)
    return program


def _pipe(transport: SubprocessTransport, number: int) -> Any:
    return cast(Any, transport.get_pipe_transport(number))


class _Program(asyncio.SubprocessProtocol):
    def __init__(self, loop: asyncio.AbstractEventLoop, heard: Heard) -> None:
        self._loop = loop
        self._heard = heard
        self._ended: asyncio.Future[None] = loop.create_future()
        self._killer: asyncio.TimerHandle | None = None
        self._read = 0
        self._reader: asyncio.TimerHandle | None = None

    @property
    def status(self) -> int | None:
        return self._transport.get_returncode() if self._ended.done() else None

    async def ended(self, timeout: float | None = None) -> int | None:
        await asyncio.wait([self._ended], timeout=timeout)
        return self.status

    def let_go(self, grace: float) -> None:
        if self._ended.done():
            return
        with suppress(AttributeError):  # it has closed the pipe, or ended
            _pipe(self._transport, 0).close()
        if self._killer is not None:
            grace = min(grace, self._killer.when() - self._loop.time())
            self._killer.cancel()
        self._killer = self._loop.call_later(grace, self._kill)

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            self._transport.kill()

    # -- what the event loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(SubprocessTransport, transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._heard(_STREAMS[fd], data)
        self._read += len(data)
        if self._reader is None:
            self._reader = self._loop.call_later(READ_PERIOD, self._read_on)
        if self._read >= READ_LIMIT:
            self._each_pipe("pause_reading")

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:  # noqa: ARG002  # of the shape
        if fd in _STREAMS:
            self._heard(_STREAMS[fd], b"")

    def process_exited(self) -> None:
        self._loop.call_later(LINGER, self._finish)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # of the shape
        self._finish()

    def _read_on(self) -> None:
        self._reader = None
        if self._read >= READ_LIMIT:
            self._each_pipe("resume_reading")
        self._read = 0

    def _each_pipe(self, verb: str) -> None:
        for number in _STREAMS:
            pipe = _pipe(self._transport, number)
            if pipe is not None and not pipe.is_closing():
                getattr(pipe, verb)()

    def _finish(self) -> None:
        if self._ended.done():
            return
        self._ended.set_result(None)
        for timer in (self._killer, self._reader):
            if timer is not None:
                timer.cancel()
        self._transport.close()
