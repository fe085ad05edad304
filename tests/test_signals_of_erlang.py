"""Exit signals and aliases do what they do in Erlang: `signals.escript` asks a real node."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Final, Literal, TypeAlias

import pytest

from pydist import (
    KILL,
    Alias,
    Atom,
    Down,
    Pid,
    alias,
    demonitor,
    exit,  # noqa: A004  # OTP's name
    monitor,
    receive,
    send,
    spawn,
    unalias,
)
from pydist.primitives import MonitorAlias
from tests.exit_signals import outcome
from tests.helpers import mailbox, passed
from tests.virtual_time import run_process

pytestmark = pytest.mark.real

SCRIPT: Final = Path(__file__).parent / "signals.escript"

HOW: Final = ("link", "inactive link", "exit", "itself")
REASONS: Final = ("normal", "kill", "killed", "shutdown", "noproc", "noconnection", "boom")
Mode: TypeAlias = Literal["alias", "reply"] | MonitorAlias
MODES: Final[tuple[Mode, ...]] = ("alias", "reply", "explicit_unalias", "demonitor", "reply_demonitor")
EVENTS: Final = ("send", "unalias", "demonitor", "down")


def of_erlang() -> dict[str, str]:
    lines = subprocess.run(["escript", SCRIPT], capture_output=True, text=True, check=True).stdout.splitlines()
    return dict(tuple(line.split(" = ", 1)) for line in lines)  # type: ignore[misc]  # each line has one " = "


def exit_signals() -> Iterator[tuple[str, str]]:
    for how, reason, traps in product(HOW, REASONS, ("plain", "trapping")):
        result = outcome(how, Atom(reason), trapping=traps == "trapping")
        match result:
            case (str() as verb, Atom() as why):
                yield f"{how.replace(' ', '_')} {reason} {traps}", f"{verb} {why.name}"
            case _:
                yield f"{how.replace(' ', '_')} {reason} {traps}", str(result)


async def aliases() -> list[tuple[str, str]]:
    sequences = [sequence for length in range(4) for sequence in product(EVENTS, repeat=length)]
    return [(" ".join((mode, *events)), await alias_life(mode, events)) for mode, events in product(MODES, sequences)]


async def alias_life(mode: Mode, events: tuple[str, ...]) -> str:
    """What each event gives, and what is in the mailbox in the end."""
    target = spawn(wait)
    here = open_alias(mode, target)
    results = [await happens(event, here, target) for event in events]
    left = [await receive() for _ in mailbox()]
    demonitor(here.ref)
    return " ".join((*results, "|", *[m.reason.name if isinstance(m, Down) else m for m in left]))


def open_alias(mode: Mode, target: Pid) -> Alias:
    if mode == "alias" or mode == "reply":  # noqa: PLR1714  # pyright narrows by this form
        return alias(reply=mode == "reply")
    return monitor(target, alias=mode)[1]


async def happens(event: str, here: Alias, target: Pid) -> str:
    match event:
        case "send":
            send(here, "message")
        case "unalias":
            return str(unalias(here)).lower()
        case "demonitor":
            return str(demonitor(here.ref)).lower()
        case _:
            exit(target, KILL)
            await passed(1)
    return event


async def wait() -> None:
    await receive()


def test_exit_signals_and_aliases_do_what_they_do_in_erlang() -> None:
    assert dict([*exit_signals(), *run_process(aliases)]) == of_erlang()
