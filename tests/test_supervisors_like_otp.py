"""`Supervisor` against OTP's own: both build the same trees, the same happens to them, and both must look the same.

The period is an hour, so that every restart counts and nothing depends on how long anything takes.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

import attrs
import pytest

from pydist import (
    KILL,
    NORMAL,
    SHUTDOWN,
    ChildError,
    ChildSpec,
    Pid,
    StartError,
    Supervisor,
    child,
    delete_child,
    exit,  # noqa: A004  # OTP's name
    get_childspec,
    is_alive,
    monitor,
    receive,
    restart_child,
    send,
    spawn,
    start_child,
    terminate_child,
    trap_exit,
    which_children,
)
from pydist.core.restart import AUTO_SHUTDOWNS, RESTARTS, STRATEGIES
from pydist.errors import Exit
from tests.helpers import passed
from tests.virtual_time import run_process

pytestmark = pytest.mark.real

SCRIPT: Final = Path(__file__).parent / "supervisors.escript"
PROGRAMS: Final = 200
REASONS: Final[dict[str, Any]] = {
    "normal": NORMAL,
    "shutdown": SHUTDOWN,
    "{shutdown,told}": (SHUTDOWN, "told"),
    "crash": "crash",
    "killed": KILL,
}
REQUESTS: Final[dict[str, Any]] = {
    "terminate_child": terminate_child,
    "restart_child": restart_child,
    "delete_child": delete_child,
    "get_childspec": get_childspec,
}


@attrs.frozen
class Part:
    """A worker, or a supervisor if it has flags."""

    name: str
    restart: Any
    significant: bool
    flags: tuple[Any, int, Any] | None = None
    children: tuple[Part, ...] = ()

    def below(self) -> list[Part]:
        return [self, *(each for part in self.children for each in part.below())]


@attrs.frozen
class Step:
    """What happens to the one that `path` leads to from the top: `what` with `argument`."""

    what: str
    path: tuple[str, ...]
    argument: Any


# -- drawing


def a_part(random: Random, name: str, auto_shutdown: str, depth: int) -> Part:
    restart = random.choice(RESTARTS)
    significant = auto_shutdown != "never" and restart != "permanent" and random.random() < 0.5
    if depth and random.random() < 0.3:
        return a_supervisor(random, name, restart, significant=significant, depth=depth)
    return Part(name, restart, significant)


def a_supervisor(random: Random, name: str, restart: str, *, significant: bool = False, depth: int) -> Part:
    auto_shutdown = random.choice(["never", *AUTO_SHUTDOWNS])
    flags = random.choice(STRATEGIES), random.choice([0, 1, 2, 5, 9]), auto_shutdown
    names = [f"{name}{letter}" for letter in "abcd"[: random.randrange(1, 5)]]
    children = tuple(a_part(random, each, auto_shutdown, depth - 1) for each in names)
    return Part(name, restart, significant, flags, children)


def paths(part: Part, so_far: tuple[str, ...] = ()) -> dict[tuple[str, ...], Part]:
    found = {so_far: part}
    for each in part.children:
        found |= paths(each, (*so_far, each.name))
    return found


def a_step(random: Random, top: Part) -> Step:
    known = paths(top)
    supervisors = [path for path, part in known.items() if part.flags is not None]
    path = random.choice([path for path in known if path])
    what = random.choice(["leave"] * 5 + ["fail", "start", "terminate_child", *REQUESTS])
    match what:
        case "leave" if known[path].flags is not None:
            return Step(what, path, "killed")
        case "leave":
            return Step(what, path, random.choice(list(REASONS)))
        case "fail":
            return Step(what, path, random.randrange(1, 4))
        case "start":
            name = random.choice(["x", "y", *(part.name for part in known.values() if part.flags is None)])
            restart = random.choice(RESTARTS)
            significant = restart != "permanent" and random.random() < 0.2
            return Step(what, random.choice(supervisors), Part(name, restart, significant))
        case _:
            return Step(what, path[:-1], random.choice([path[-1], path[-1], path[-1], "x"]))


def programs(random: Random) -> list[tuple[Part, list[Step]]]:
    tops = [a_supervisor(random, "s", "permanent", depth=2) for _ in range(PROGRAMS)]
    return [(top, [a_step(random, top) for _ in range(random.randrange(3, 15))]) for top in tops]


# -- by OTP


def by_otp(scripted: list[tuple[Part, list[Step]]], path: Path) -> list[str]:
    texts = [f"{{{part_in_erlang(top)},[{','.join(map(step_in_erlang, steps))}]}}" for top, steps in scripted]
    path.write_text(f"[{','.join(texts)}].", encoding="utf-8")
    done = subprocess.run(["escript", str(SCRIPT), str(path)], capture_output=True, text=True, timeout=300, check=True)
    return done.stdout.splitlines()


def part_in_erlang(part: Part) -> str:
    common = f"{part.name},{part.restart},{str(part.significant).lower()}"
    if part.flags is None:
        return f"{{{common}}}"
    strategy, intensity, auto_shutdown = part.flags
    children = ",".join(map(part_in_erlang, part.children))
    return f"{{{common},{{{strategy},{intensity},{auto_shutdown}}},[{children}]}}"


def step_in_erlang(step: Step) -> str:
    argument = part_in_erlang(step.argument) if isinstance(step.argument, Part) else step.argument
    where = step.path[-1] if step.what == "fail" else f"[{','.join(step.path)}]"
    return f"{{{step.what},{where},{argument}}}"


# -- by pydist


class Play:
    """One program, as the script plays it."""

    def __init__(self) -> None:
        self.ups: Counter[str] = Counter()
        self.fails: Counter[str] = Counter()

    async def run(self, top: Part, steps: Sequence[Step]) -> str:
        trap_exit(True)
        pid = await Supervisor.start_link([self.spec(part) for part in top.children], **_flags(top))
        lines = [await self.after_step(pid, step) for step in steps]
        return ";".join(lines)

    def spec(self, part: Part) -> ChildSpec:
        options: dict[str, Any] = {"id": part.name, "restart": part.restart, "significant": part.significant}
        if part.flags is None:
            return child(_Worker(self, part.name), **options)
        return child(Supervisor, [self.spec(each) for each in part.children], **_flags(part), **options)

    async def after_step(self, top: Pid, step: Step) -> str:
        try:
            result = await self.act(top, step)
        except ChildError as error:
            result = error.reason
        except StartError:
            result = "failed"
        except LookupError:
            result = "absent"
        await passed(1)
        ups = ",".join(f"{{{{up,{name}}},{count}}}" for name, count in sorted(self.ups.items()))
        return f"{result} {await seen(top)} [{ups}]"

    async def act(self, top: Pid, step: Step) -> str:
        if step.what == "fail":
            self.fails[step.path[-1]] = step.argument
            return "ok"
        pid = await find(top, step.path)
        if step.what == "leave":
            ref = monitor(pid)
            reason = REASONS[step.argument]
            exit(pid, KILL) if reason is KILL else send(pid, reason)
            await receive(ref)
        elif step.what == "start":
            await start_child(pid, self.spec(step.argument))
        else:
            await REQUESTS[step.what](pid, step.argument)
        return "ok"


def _flags(part: Part) -> dict[str, Any]:
    assert part.flags is not None
    strategy, intensity, auto_shutdown = part.flags
    return {"strategy": strategy, "intensity": intensity, "period": 3600, "auto_shutdown": auto_shutdown}


class _Worker:
    """Starts a process that leaves with the reason that it is sent, unless its starts are to fail."""

    def __init__(self, play: Play, name: str) -> None:
        self.play = play
        self.name = name

    async def start_link(self) -> Pid:
        if self.play.fails[self.name]:
            self.play.fails[self.name] -= 1
            raise StartError("failed")
        self.play.ups[self.name] += 1
        return spawn(_leaves, link=True)


async def _leaves() -> None:
    raise Exit(await receive())


async def find(top: Pid, path: Sequence[str]) -> Pid:
    """The process at the end of a path. Raises LookupError if it does not run."""
    pid: Pid | None = top
    for name in path:
        children = {} if pid is None or not is_alive(pid) else {each.id: each for each in await which_children(pid)}
        pid = children[name].pid
    if pid is None or not is_alive(pid):
        raise LookupError
    return pid


async def seen(pid: Pid) -> str:
    if not is_alive(pid):
        return "down"
    lines: list[str] = []
    for each in await which_children(pid):
        state = "restarting" if each.restarting else "down"
        if each.pid is not None:
            state = "up" if each.kind == "worker" else await seen(each.pid)
        lines.append(f"{{{each.id},{state}}}")
    return f"[{','.join(lines)}]"


def test_trees_look_as_those_of_otp_whatever_happens_to_them(tmp_path: Path) -> None:
    scripted = programs(Random(2903))  # noqa: S311  # the same programs each time
    ours = [run_process(partial(Play().run, top, steps)) for top, steps in scripted]
    assert ours == by_otp(scripted, tmp_path / "programs")
