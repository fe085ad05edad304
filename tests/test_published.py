from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from pydist import (
    KILL,
    Exit,
    Node,
    NotInProcess,
    exit,  # noqa: A004  # OTP's name
    monitor,
    publish,
    published,
    receive,
    register,
    self_pid,
    spawn,
    unregister,
)
from pydist.messaging import acting
from tests.helpers import in_process, mailbox, passed


@in_process
async def test_what_a_process_publishes_is_read_by_its_name_the_object_itself() -> None:
    table = {"a": 1}

    async def owns() -> None:
        publish("something else")
        publish(table)
        await receive()

    spawn(owns, name="owner")
    assert published("owner") is None
    await passed(1)
    assert published("owner") is table


@in_process
async def test_it_is_read_from_one_that_is_busy() -> None:
    async def owns() -> None:
        publish(1)
        await asyncio.sleep(1000)

    spawn(owns, name="owner")
    await passed(1)
    assert published("owner") == 1


@in_process
async def test_it_goes_with_the_process_before_its_end_is_seen() -> None:
    async def owns() -> None:
        publish(1)
        await receive()

    pid = spawn(owns, name="owner")
    await passed(1)
    monitor(pid)
    exit(pid, KILL)
    assert (len(mailbox()), published("owner"), acting()[1].published) == (1, None, {})


@in_process
async def test_it_is_found_by_the_name_that_the_process_has_now() -> None:
    publish(1)
    assert (published("me"), published("")) == (None, None)
    register("me", self_pid())
    assert published("me") == 1
    unregister("me")
    assert published("me") is None


def test_two_nodes_in_one_program_have_nothing_in_common() -> None:
    async def owns() -> None:
        register("owner", self_pid())
        publish(1)
        await receive()

    async def main() -> None:
        async def spawns() -> object:
            spawn(owns)
            await passed(0.01)
            return published("owner")

        async def reads() -> object:
            return published("owner")

        a, b = Node(), Node()
        await a.start()
        await b.start()
        try:
            assert (await a.run(spawns), await b.run(reads)) == (1, None)
        finally:
            await a.stop()
            await b.stop()

    asyncio.run(main())


def test_only_a_process_publishes_and_reads() -> None:
    for use in (lambda: publish(1), lambda: published("owner")):
        with pytest.raises(NotInProcess):
            use()


@in_process
async def test_one_that_was_killed_publishes_nothing_that_would_stay() -> None:
    async def goes_on() -> None:
        with suppress(Exit):
            exit(self_pid(), KILL)
        publish("left over")

    spawn(goes_on)
    await passed(1)
    assert acting()[1].published == {}
