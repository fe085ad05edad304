"""What one process does to another, and what becomes of that: for the table of exit signals."""

from __future__ import annotations

from collections.abc import Callable

from pydist import (
    Down,
    Exit,
    Exited,
    Pid,
    exit,  # noqa: A004  # OTP's name
    link,
    receive,
    self_pid,
    send,
    spawn,
    trap_exit,
    unlink,
)
from tests.virtual_time import run_process

Signal = Callable[[Pid], None]
"""What a partner does to the victim."""


def by_link(reason: object) -> Signal:
    def signal(victim: Pid) -> None:
        link(victim)
        raise Exit(reason)

    return signal


def by_inactive_link(reason: object) -> Signal:
    def signal(victim: Pid) -> None:
        link(victim)
        unlink(victim)
        raise Exit(reason)

    return signal


def by_exit(reason: object) -> Signal:
    return lambda victim: exit(victim, reason)


def by_itself(reason: object) -> Signal:
    return lambda victim: send(victim, lambda: exit(self_pid(), reason))


def by_linking_to(nobody: Pid) -> Signal:
    return lambda victim: send(victim, lambda: link(nobody))


def outcome(signal: Signal, *, trapping: bool) -> object:
    """What becomes of a victim: ("dies", reason), the `Exited` it gets, without its pid, or "dropped"."""

    async def victim(report_to: Pid) -> None:
        trap_exit(trapping)
        send(report_to, "ready")
        while callable(message := await receive()):
            message()
        send(report_to, ("gets", message.reason) if isinstance(message, Exited) else message)
        await receive()

    async def partner(victim: Pid) -> None:
        signal(victim)

    async def main() -> object:
        pid, ref = spawn(victim, self_pid(), monitor=True)
        await receive("ready".__eq__)
        _, partners_end = spawn(partner, pid, monitor=True)
        await receive(partners_end)
        send(pid, "dropped")
        answer = await receive()
        return ("dies", answer.reason) if answer == Down(ref, pid, answer_reason(answer)) else answer

    return run_process(main)


def answer_reason(answer: object) -> object:
    return answer.reason if isinstance(answer, Down) else None
