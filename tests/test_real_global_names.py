"""Names of the cluster, between programs that are killed."""

from __future__ import annotations

import pytest

from tests.test_real_nodes import Launch, epmd_port, launch

__all__ = ["epmd_port", "launch"]

pytestmark = pytest.mark.real

HOLD = """
    async def hold():
        assert await global_names.register_name("bank", self_pid())
        print("told: holding", flush=True)
        await receive()

    start(hold, "a")
"""

FOLLOW = """
    async def follow():
        assert await connect_node("a@127.0.0.1")
        OTHERS
        await global_names.sync()
        pid = global_names.whereis_name("bank")
        ref = monitor(pid)
        print("told: it is on", pid.node, flush=True)
        await receive(ref)
        won = await global_names.register_name("bank", self_pid())
        print("told:", "won" if won else "lost", flush=True)
        await receive()

    start(follow, "NAME", prevent_overlapping_partitions=False)
"""


def follow(name: str, others: str = "pass") -> str:
    return FOLLOW.replace("NAME", name).replace("OTHERS", others)


def test_when_the_program_with_the_name_is_killed_exactly_one_of_two_others_takes_it_over(launch: Launch) -> None:
    a = launch(HOLD)
    a.until("holding")
    b = launch(follow("b"))
    b.until("it is on a@127.0.0.1")
    c = launch(follow("c", 'assert await connect_node("b@127.0.0.1")'))
    c.until("it is on a@127.0.0.1")
    a.popen.kill()
    outcomes = [program.until("told:").split()[-1] for program in (b, c)]
    assert sorted(outcomes) == ["lost", "won"]
