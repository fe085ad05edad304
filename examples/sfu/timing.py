"""Messages to oneself, later."""

from __future__ import annotations

import asyncio

from pydist import Message, Pid, self_pid, send, spawn


def send_after(seconds: float, message: Message) -> None:
    """The calling process gets `message` in `seconds`, if it is still there."""
    spawn(_send_after, self_pid(), seconds, message, link=True)


def send_every(seconds: float, message: Message) -> None:
    """The calling process gets `message` each `seconds`, as long as it lives."""
    spawn(_send_every, self_pid(), seconds, message, link=True)


async def _send_after(target: Pid, seconds: float, message: Message) -> None:
    await asyncio.sleep(seconds)
    send(target, message)


async def _send_every(target: Pid, seconds: float, message: Message) -> None:
    while True:
        await _send_after(target, seconds, message)
