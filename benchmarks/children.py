"""The programs that do the work: started, awaited with a deadline, and never left behind."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

READY_WITHIN: Final = 15.0
"""Seconds that a background program has to come up."""
DONE_WITHIN: Final = 60.0
"""Seconds that one measurement has; ones that work take a few."""
LOOK_EVERY: Final = 0.01
LAST_WORDS: Final = 2_000
"""Characters of a failed program's output that are shown."""


class ChildFailed(Exception):
    """A program ended badly or took too long; the message has its last words."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int) -> bool:
    """Whether somebody accepts connections on this port of 127.0.0.1."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    except OSError:
        return False
    return True


def amount_printed_by(
    command: Sequence[str], env: Mapping[str, str] | None = None, *, within: float = DONE_WITHIN
) -> int:
    """Run a driver to its end, which must come `within` so many seconds.

    Returns:
        The number in the line `amount <number>` that it prints.
    Raises:
        ChildFailed: it failed, printed no such line, or was not done in time.
    """
    output = _output_of(command, env, within)
    for line in output.splitlines():
        match line.split():
            case ["amount", number]:
                return int(number)
            case _:
                pass
    raise ChildFailed(_last_words(command, "printed no amount", output))


def _output_of(command: Sequence[str], env: Mapping[str, str] | None, within: float) -> str:
    try:
        done = subprocess.run(
            command,
            env=_environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=within,
            check=False,
            text=True,
        )
    except subprocess.TimeoutExpired as late:
        output = late.output.decode(errors="replace") if isinstance(late.output, bytes) else ""
        raise ChildFailed(_last_words(command, f"was not done after {within:g} s", output)) from None
    if done.returncode != 0:
        raise ChildFailed(_last_words(command, f"ended with code {done.returncode}", done.stdout))
    return done.stdout


@contextmanager
def in_background(
    command: Sequence[str],
    ready: Callable[[str], bool],
    env: Mapping[str, str] | None = None,
    *,
    within: float = READY_WITHIN,
) -> Generator[None, None, None]:
    """Run a program for as long as the `with` block lasts; it is killed at the end.

    Args:
        command: the program and its arguments.
        ready: asked with all that the program has printed so far, until it says that the program is up.
        env: variables to set beside those that are inherited.
        within: seconds that it has to come up.

    Raises:
        ChildFailed: it ended early, or was not ready in time.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "output")
        with log.open("wb") as output:
            child = subprocess.Popen(
                command, env=_environment(env), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            _wait_until_ready(child, log, ready, within)
            yield
        except ChildFailed as failure:
            # A driver that fails has often been let down by the program behind it: show both.
            raise ChildFailed(f"{failure}\n\n{_last_words(command, 'was running', _printed(log))}") from None
        finally:
            child.kill()
            child.wait()


def _wait_until_ready(child: subprocess.Popen[bytes], log: Path, ready: Callable[[str], bool], within: float) -> None:
    deadline = time.monotonic() + within
    while not ready(_printed(log)):
        if child.poll() is not None:
            raise ChildFailed(f"a program ended with code {child.returncode} before it was ready")
        if time.monotonic() > deadline:
            raise ChildFailed(f"a program was not ready after {within:g} s")
        time.sleep(LOOK_EVERY)


def _printed(log: Path) -> str:
    return log.read_text(errors="replace")


def _environment(more: Mapping[str, str] | None) -> dict[str, str]:
    return {**os.environ, **(more or {})}


def _last_words(command: Sequence[str], what: str, output: str) -> str:
    return f"{' '.join(command)}\n{what}; its last output:\n{output[-LAST_WORDS:].strip() or '(nothing)'}"
