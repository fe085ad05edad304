"""asyncio and the libraries on it work inside a process, on uvloop and on asyncio's own loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any

import anyio
import pytest
from aiohttp import ClientSession, web

from pydist import Exited, NotInProcess, receive, self_pid, send, spawn, trap_exit
from pydist import exit as send_exit
from pydist.messaging import current

Run = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]


def me() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


async def give(value: Any) -> Any:
    await asyncio.sleep(0.001)
    return value


async def fail(error: Exception) -> None:
    await asyncio.sleep(0.001)
    raise error


def test_the_current_task_is_the_process(run_on_each_loop: Run) -> None:
    async def main() -> list[bool]:
        before = me()
        await asyncio.sleep(0.001)
        return [id(before) == id(current()), me() is before, me() in asyncio.all_tasks()]

    assert run_on_each_loop(main) == [True, True, False]


def test_a_pause_of_zero_lets_tasks_and_callbacks_of_the_loop_go_first(run_on_each_loop: Run) -> None:
    async def main() -> list[str]:
        seen: list[str] = []

        async def child() -> None:
            seen.append("task")

        task = asyncio.create_task(child())
        asyncio.get_running_loop().call_soon(seen.append, "callback")
        await asyncio.sleep(0)
        seen.append("process")
        await task
        return seen

    assert run_on_each_loop(main) == ["task", "callback", "process"]


def test_timeout_of_a_future_of_a_receive_and_of_nothing(run_on_each_loop: Run) -> None:
    async def receives() -> None:
        await receive(int)

    async def main() -> list[object]:
        expired: list[object] = []
        for wait, timeout in ((forever, 0.01), (receives, 0.01), (lambda: give(1), 10)):
            scope = asyncio.timeout(timeout)
            try:
                async with scope:
                    await wait()
            except TimeoutError:
                expired.append("late")
            expired.append(scope.expired())
        send(self_pid(), 7)
        return [expired, me().cancelling(), await receive(int)]

    assert run_on_each_loop(main) == [["late", True, "late", True, False], 0, 7]


def test_timeouts_nest(run_on_each_loop: Run) -> None:
    async def main() -> list[bool]:
        outer, inner = asyncio.timeout(0.01), asyncio.timeout(10)
        try:
            async with outer, inner:
                await forever()
        except TimeoutError:
            return [outer.expired(), inner.expired()]
        return []

    assert run_on_each_loop(main) == [True, False]


def test_a_task_group_gives_its_results(run_on_each_loop: Run) -> None:
    async def main() -> list[Any]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(give(number)) for number in range(10)]
        return [task.result() for task in tasks]

    assert run_on_each_loop(main) == list(range(10))


def test_a_task_group_with_a_failing_child_cancels_the_others_and_raises(run_on_each_loop: Run) -> None:
    async def main() -> list[object]:
        raised: list[str] = []
        others: list[asyncio.Task[None]] = []
        try:
            async with asyncio.TaskGroup() as group:
                others.append(group.create_task(forever()))
                group.create_task(fail(ValueError("child")))
                await receive()  # the body is interrupted here
        except* ValueError as errors:
            raised += [str(error) for error in errors.exceptions]
        send(self_pid(), "after")
        return [raised, [other.cancelled() for other in others], me().cancelling(), await receive()]

    assert run_on_each_loop(main) == [["child"], [True], 0, "after"]


def test_gather(run_on_each_loop: Run) -> None:
    async def main() -> list[Any]:
        good = await asyncio.gather(give(1), give(2))
        mixed = await asyncio.gather(give(1), fail(ValueError("x")), return_exceptions=True)
        with pytest.raises(ValueError, match="y"):
            await asyncio.gather(give(1), fail(ValueError("y")))
        return [good, [repr(each) for each in mixed]]

    assert run_on_each_loop(main) == [[1, 2], ["1", "ValueError('x')"]]


def test_wait_for_and_wait(run_on_each_loop: Run) -> None:
    async def main() -> list[Any]:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(forever(), 0.01)
        done, pending = await asyncio.wait(
            [asyncio.create_task(give(1)), asyncio.create_task(forever())], return_when=asyncio.FIRST_COMPLETED
        )
        for task in pending:
            task.cancel()
        await asyncio.wait(pending)
        return [await asyncio.wait_for(give(2), 10), [task.result() for task in done], len(pending)]

    assert run_on_each_loop(main) == [2, [1], 1]


def test_to_thread_runs_elsewhere_where_no_process_is(run_on_each_loop: Run) -> None:
    def elsewhere() -> object:
        with pytest.raises(NotInProcess):
            self_pid()
        with pytest.raises(NotInProcess):
            spawn(forever)
        return threading.current_thread() is threading.main_thread()

    async def main() -> list[object]:
        me_before = self_pid()
        return [await asyncio.to_thread(elsewhere), self_pid() == me_before]

    assert run_on_each_loop(main) == [False, True]


def test_a_queue_between_a_task_and_two_processes(run_on_each_loop: Run) -> None:
    async def main() -> list[int]:
        queue: asyncio.Queue[int] = asyncio.Queue(2)

        async def puts(numbers: range) -> None:
            for number in numbers:
                await queue.put(number)

        spawn(puts, range(10))
        spawn(puts, range(10, 20))
        task = asyncio.create_task(puts(range(20, 30)))
        got = [await queue.get() for _ in range(30)]
        await task
        return sorted(got)

    assert run_on_each_loop(main) == list(range(30))


def test_locks_and_events_are_shared_between_processes(run_on_each_loop: Run) -> None:
    async def main() -> list[object]:
        lock, event, inside = asyncio.Lock(), asyncio.Event(), 0
        most = 0

        async def enters() -> None:
            nonlocal inside, most
            await event.wait()
            async with lock:
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0.001)
                inside -= 1

        refs = [spawn(enters, monitor=True)[1] for _ in range(5)]
        event.set()
        for ref in refs:
            await receive(ref)
        return [most, inside]

    assert run_on_each_loop(main) == [1, 0]


def test_shield_keeps_work_going_when_the_process_is_cancelled(run_on_each_loop: Run) -> None:
    async def main() -> list[object]:
        work = asyncio.create_task(give("done"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await asyncio.shield(work)
        return [work.cancelled(), await work]

    assert run_on_each_loop(main) == [False, "done"]


def test_streams(run_on_each_loop: Run) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        writer.close()
        await writer.wait_closed()

    async def main() -> bytes:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"hello\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        return answer

    assert run_on_each_loop(main) == b"HELLO\n"


def test_an_aiohttp_server_and_client_in_two_processes(run_on_each_loop: Run) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"echo": await request.json()})

    async def server(report_to: Any) -> None:
        trap_exit(True)
        app = web.Application()
        app.router.add_post("/", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        send(report_to, runner.addresses[0][1])
        await receive(Exited)
        await runner.cleanup()

    async def main() -> object:
        pid, ref = spawn(server, self_pid(), monitor=True)
        port = await receive(int)
        async with ClientSession() as session, session.post(f"http://127.0.0.1:{port}/", json=[1, 2]) as response:
            body = await response.json()
        send_exit(pid, "stop")
        await receive(ref)
        return response.status, body

    assert run_on_each_loop(main) == (200, {"echo": [1, 2]})


# anyio


def test_anyio_move_on_after_and_fail_after(run_on_each_loop: Run) -> None:
    async def main() -> list[object]:
        with anyio.move_on_after(0.01) as waits:
            await receive()
        with anyio.move_on_after(10) as in_time:
            await anyio.sleep(0.001)
        with pytest.raises(TimeoutError), anyio.fail_after(0.01):
            await forever()
        return [waits.cancelled_caught, in_time.cancelled_caught, me().cancelling()]

    assert run_on_each_loop(main) == [True, False, 0]


def test_an_anyio_cancel_scope_ends_a_receive_and_the_process_goes_on(run_on_each_loop: Run) -> None:
    async def main() -> list[object]:
        with anyio.CancelScope() as scope:
            asyncio.get_running_loop().call_later(0.01, scope.cancel)
            await receive()
        await anyio.sleep(0.001)
        send(self_pid(), "after")
        return [scope.cancelled_caught, me().cancelling(), await receive()]

    assert run_on_each_loop(main) == [True, 0, "after"]


def test_an_anyio_scope_that_is_shielded_finishes_in_a_cancelled_one(run_on_each_loop: Run) -> None:
    async def main() -> list[str]:
        seen: list[str] = []
        with anyio.CancelScope() as outer:
            outer.cancel()
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.001)
                seen.append("shielded")
            await anyio.sleep(10)
            seen.append("never")
        return seen

    assert run_on_each_loop(main) == ["shielded"]


def test_an_anyio_task_group_with_a_failing_child(run_on_each_loop: Run) -> None:
    async def main() -> list[object]:
        raised: list[str] = []
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(fail, ValueError("child"))
                group.start_soon(forever)
                await receive()
        except* ValueError as errors:
            raised += [str(error) for error in errors.exceptions]
        return [raised, me().cancelling()]

    assert run_on_each_loop(main) == [["child"], 0]


def test_an_anyio_thread(run_on_each_loop: Run) -> None:
    async def main() -> object:
        return await anyio.to_thread.run_sync(lambda: threading.current_thread() is threading.main_thread())

    assert run_on_each_loop(main) is False


# Contexts

who: ContextVar[str] = ContextVar("who", default="nobody")


def test_each_process_has_its_own_copy_of_its_parents_context(run_on_each_loop: Run) -> None:
    async def child(name: str, report_to: Any) -> None:
        inherited = who.get()
        who.set(name)
        await asyncio.sleep(0.001)
        in_task = await asyncio.create_task(read())
        in_thread = await asyncio.to_thread(who.get)
        send(report_to, (inherited, who.get(), in_task, in_thread))

    async def read() -> str:
        return who.get()

    async def main() -> tuple[list[Any], str]:
        who.set("parent")
        for name in ("a", "b"):
            spawn(child, name, self_pid())
        who.set("changed later")
        return sorted([await receive(), await receive()]), who.get()

    assert run_on_each_loop(main) == ([("parent", "a", "a", "a"), ("parent", "b", "b", "b")], "changed later")
    assert who.get() == "nobody"
