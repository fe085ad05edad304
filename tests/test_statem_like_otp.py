"""The engine against OTP's own `gen_statem`: both run the same scripted machines, and must make the same calls.

Timeouts are of zero or of an hour here, so that nothing depends on how long anything takes. Events that the scripted
machine gets after its last answer are kept and no more.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from random import Random
from typing import Any, Final

import attrs
import pytest

from pydist.core.transition import (
    EVENT_TIMEOUT,
    KEEP,
    STATE_TIMEOUT,
    After,
    Enter,
    EventTimeout,
    Key,
    NamedTimeout,
    StateTimeout,
    Timeout,
    Transition,
    Update,
)
from tests.statem import Answer, Drive

pytestmark = pytest.mark.real

SCRIPT: Final = Path(__file__).parent / "statem.escript"
PROGRAMS: Final = 1500
KEYS: Final[dict[Key, str]] = {
    STATE_TIMEOUT: "state_timeout",
    EVENT_TIMEOUT: "timeout",
    (NamedTimeout, "x"): "{timeout,x}",
    (NamedTimeout, "y"): "{timeout,y}",
}
HOUR: Final = 3600.0


@attrs.frozen
class Program:
    """One machine, and what is cast to it."""

    state_enter: bool
    answers: list[Answer]
    casts: list[int]


def programs(random: Random) -> list[Program]:
    return [
        Program(
            random.random() < 0.5,
            [an_answer(random) for _ in range(random.randrange(4, 30))],
            [random.randrange(100) for _ in range(random.randrange(3, 12))],
        )
        for _ in range(PROGRAMS)
    ]


def an_answer(random: Random) -> Answer:
    repeat = random.random() < 0.15
    return Transition(
        KEEP if repeat else random.choice(["a", "b", KEEP]),
        random.choice([KEEP, random.randrange(10)]),
        repeat=repeat,
        postpone=random.choice([None, False, True, True]),
        next_events=tuple(random.choice("pqr") for _ in range(random.choice([0, 0, 1, 2]))),
        timeouts=tuple((random.choice(list(KEYS)), a_timeout(random)) for _ in range(random.choice([0, 0, 1, 3]))),
    )


def a_timeout(random: Random) -> Timeout:
    content = random.randrange(10)
    return random.choice([After(0, content), After(0, content), After(HOUR, content), Update(content), None])


# -- by OTP


def by_otp(scripted: list[Program], path: Path) -> list[str]:
    path.write_text(f"[{', '.join(map(in_erlang, scripted))}].", encoding="utf-8")
    done = subprocess.run(["escript", str(SCRIPT), str(path)], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.splitlines()


def in_erlang(program: Program) -> str:
    answers = ",".join(map(answer_in_erlang, program.answers))
    return f"{{{str(program.state_enter).lower()},[{answers}],{program.casts}}}"


def answer_in_erlang(answer: Answer) -> str:
    state = "repeat" if answer.repeat else "keep" if answer.state is KEEP else answer.state
    data = "keep" if answer.data is KEEP else answer.data
    actions = [f"{{{KEYS[key]},{timeout_in_erlang(timeout)}}}" for key, timeout in answer.timeouts]
    actions += [f"{{next_event,internal,{event}}}" for event in answer.next_events]
    if answer.postpone is not None:
        actions.append(f"{{postpone,{str(answer.postpone).lower()}}}")
    return f"{{{state},{data},[{','.join(actions)}]}}"


def timeout_in_erlang(timeout: Timeout) -> str:
    match timeout:
        case After(seconds, content):
            return f"{round(seconds * 1000)},{content}"
        case Update(content):
            return f"update,{content}"
        case _:
            return "cancel"


# -- by the engine


def by_engine(program: Program) -> str:
    calls: list[str] = []
    answers = iter(program.answers)

    def handler(event: Any, state: str, data: Any) -> Answer:
        calls.append(f"{event_as_erlang(event)} {state} {data}")
        answer = next(answers, Transition[Any, Any]())
        if not isinstance(event, Enter):
            return answer
        return answer._replace(state=KEEP, postpone=False if answer.postpone is False else None, next_events=())

    drive = Drive(handler, state_enter=program.state_enter)
    drive.hear(*program.casts)
    return ";".join(calls)


def event_as_erlang(event: Any) -> str:
    match event:
        case int():
            return f"cast {event}"
        case str():
            return f"internal {event}"
        case Enter(old_state):
            return f"enter {old_state}"
        case StateTimeout(content):
            return f"state_timeout {content}"
        case EventTimeout(content):
            return f"timeout {content}"
        case NamedTimeout(name, content):
            return f"{{timeout,{name}}} {content}"
        case _:
            return repr(event)


def test_otp_makes_the_same_calls_in_the_same_order(tmp_path: Path) -> None:
    scripted = programs(Random(2608))  # noqa: S311  # the same programs each time
    assert [by_engine(program) for program in scripted] == by_otp(scripted, tmp_path / "programs")
