"""The main function of a service."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pydist import (
    KILL,
    KILLED,
    SHUTDOWN,
    ApplicationTerminated,
    Exit,
    Node,
    StartError,
    exit,  # noqa: A004  # OTP's name
    monitor,
    receive,
    serve_applications,
    spawn,
    whereis,
    which_applications,
)
from tests.apps import downs, leave, noting, ups
from tests.helpers import end, in_process, passed
from tests.virtual_time import run_process


async def after(seconds: float, function: Any, *args: Any) -> None:
    await passed(seconds)
    function(*args)


def test_it_ends_with_an_error_when_a_permanent_application_does_and_stops_all_others() -> None:
    journal: list[str] = []
    apps = [noting(journal, "c", "b"), noting(journal, "b", "a"), noting(journal, "a")]

    async def main() -> None:
        spawn(after, 5, leave, "b", "oops")
        await serve_applications(apps)

    with pytest.raises(ApplicationTerminated, match=r"the application 'b' has ended: Atom\('shutdown'\)") as caught:
        run_process(main)

    assert (caught.value.application, caught.value.reason) == ("b", SHUTDOWN)
    assert journal == [*ups("abc"), "b works no more", "b is to stop", "b is down", *downs("ca")]


@in_process
async def test_an_application_that_is_not_permanent_may_end() -> None:
    journal: list[str] = []
    main = spawn(serve_applications, [noting(journal, "a"), noting(journal, "b")], None, "temporary")
    await passed(1)
    leave("a", "oops")
    await passed(1)

    assert [each.name for each in await which_applications()] == ["b"]
    exit(main, SHUTDOWN)


@in_process
async def test_told_to_stop_it_stops_all_in_reverse_and_ends_with_the_reason() -> None:
    journal: list[str] = []
    main = spawn(serve_applications, [noting(journal, "b", "a"), noting(journal, "a")])
    ref = monitor(main)
    await passed(1)

    exit(main, SHUTDOWN)

    assert ((await receive(ref)).reason, journal) == (SHUTDOWN, ups("ab") + downs("ba"))


@in_process
async def test_a_helper_that_ends_normally_ends_nothing_and_one_that_crashes_stops_all() -> None:
    journal: list[str] = []

    async def main() -> None:
        spawn(after, 1, list, link=True)
        spawn(crash_after, 5, link=True)
        await serve_applications([noting(journal, "a")])

    ref = monitor(spawn(main))
    await passed(4)
    assert journal == ups("a")
    assert ((await receive(ref)).reason, journal) == ("oops", ups("a") + downs("a"))


async def crash_after(seconds: float) -> None:
    await passed(seconds)
    raise Exit("oops")


@in_process
async def test_afterwards_exits_are_trapped_as_before() -> None:
    async def main() -> None:
        spawn(after, 1, lambda: leave("a", "oops"))
        with pytest.raises(ApplicationTerminated):
            await serve_applications([noting([], "a")])
        await passed(1000)

    main_pid = spawn(main)
    await passed(10)
    assert await end(main_pid, "enough") == "enough"


@in_process
async def test_told_to_stop_while_one_starts_it_stops_when_that_is_over() -> None:
    journal: list[str] = []
    main = spawn(serve_applications, [noting(journal, "a", start_time=5.0)])
    ref = monitor(main)
    await passed(1)

    exit(main, SHUTDOWN)

    assert ((await receive(ref)).reason, journal) == (SHUTDOWN, ups("a") + downs("a"))


@in_process
async def test_it_returns_when_the_controller_is_told_to_stop() -> None:
    journal: list[str] = []
    returned: list[None] = []

    async def main() -> None:
        returned.append(await serve_applications([noting(journal, "a")]))  # type: ignore[func-returns-value]  # it returns

    ref = monitor(spawn(main))
    await passed(1)
    controller = whereis("application_controller")
    assert controller is not None
    exit(controller, SHUTDOWN)
    await receive(ref)

    assert (returned, journal) == ([None], ups("a") + downs("a"))


def test_an_application_that_does_not_start_is_an_error_and_all_others_are_stopped() -> None:
    journal: list[str] = []
    apps = [noting(journal, "b", "a", failure=LookupError("no disk")), noting(journal, "a")]

    with pytest.raises(StartError, match=r"the application 'b' did not start: .*no disk"):
        run_process(serve_applications, apps)

    assert journal == [*ups("a"), "b starts", *downs("a")]


async def test_a_node_that_is_stopped_stops_its_applications_in_reverse() -> None:
    journal: list[str] = []
    apps = [noting(journal, "b", "a"), noting(journal, "a")]
    node = Node()
    await node.start()
    main = asyncio.create_task(node.run(serve_applications, apps))
    async with asyncio.timeout(5):
        while len(journal) < 4:  # noqa: ASYNC110  # the loop itself is what is waited for
            await asyncio.sleep(0)

    main.cancel()
    with pytest.raises(asyncio.CancelledError):
        await main
    await node.stop()

    assert journal == ups("ab") + downs("ba")


@in_process
async def test_another_end_of_the_controller_is_an_exit_with_its_reason() -> None:
    ref = monitor(spawn(serve_applications, [noting([], "a")]))
    await passed(1)
    controller = whereis("application_controller")
    assert controller is not None
    exit(controller, KILL)

    assert (await receive(ref)).reason is KILLED
