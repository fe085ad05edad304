"""Requests whose replies are awaited later."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pydist import (
    NO_REPLY,
    NOPROC,
    NORMAL,
    SHUTDOWN,
    Caller,
    CallError,
    CallingSelf,
    CallTimeout,
    GenServer,
    NodeDisconnected,
    NoProcess,
    Pid,
    Request,
    RequestId,
    RequestIds,
    Via,
    abcast,
    call,
    check_response,
    multi_call,
    node_name,
    receive,
    receive_response,
    register,
    reply,
    self_pid,
    send,
    send_request,
    spawn,
    wait_response,
)
from pydist.gen.calls import Call
from tests.counter import Add, Counter, Die, Total, Wait
from tests.helpers import end, ended, in_process, links_and_monitors, mailbox, now, passed

NOTHING = (0, 0, 0, 0)


class Nowhere:
    """A module that knows nobody."""

    def register_name(self, key: Any, pid: Pid, /) -> bool:
        return False

    def unregister_name(self, key: Any, /) -> None:
        pass

    def whereis_name(self, key: Any, /) -> Pid | None:
        return None


@in_process
async def test_a_request_is_sent_at_once_and_its_reply_is_awaited_later() -> None:
    counter = await Counter.start(1)
    began = now()
    first, second = send_request(counter, Wait(2)), send_request(counter, Add(5))
    assert now() == began
    assert (await receive_response(second), await receive_response(first), now() - began) == (7, "awake", 2)
    assert (mailbox(), links_and_monitors(), links_and_monitors(counter)) == ([], NOTHING, NOTHING)


@in_process
async def test_replies_of_several_servers_come_while_others_work() -> None:
    counters = [await Counter.start() for _ in range(3)]
    began = now()
    requests = [send_request(each, Wait(2)) for each in counters]
    assert [await receive_response(each) for each in requests] == ["awake"] * 3
    assert now() - began == 2


@pytest.mark.parametrize("wait", [receive_response, wait_response])
def test_what_is_wrong_with_the_server_comes_as_the_answer(wait: Any) -> None:
    @in_process
    async def check() -> None:
        dead = await Counter.start()
        await end(dead, SHUTDOWN)
        for server in (dead, "nobody", ("nobody", dead.node), Via(Nowhere(), "key")):
            request = send_request(server, Total())
            with pytest.raises(NoProcess) as caught:
                await wait(request)
            assert (caught.value.reason, caught.value.destination) == (NOPROC, server)
        with pytest.raises(NodeDisconnected) as lost:
            await wait(send_request(("counter", "b@127.0.0.1"), Total()))
        assert lost.value.reason == ("nodedown", "b@127.0.0.1")
        counter = await Counter.start()
        with pytest.raises(CallError) as ended_meanwhile:
            await wait(send_request(counter, Die(SystemError("x"))))
        assert ended_meanwhile.value.reason.error == "SystemError"
        assert (mailbox(), links_and_monitors()) == ([], NOTHING)

    check()


@in_process
async def test_a_request_that_is_received_too_late_is_over_and_its_reply_is_never_seen() -> None:
    counter = await Counter.start(1)
    request = send_request(counter, Wait(3))
    with pytest.raises(CallTimeout, match=r"no reply from .* within 1 s to Wait\(seconds=3\)"):
        await receive_response(request, 1)
    assert (links_and_monitors(), links_and_monitors(counter)) == (NOTHING, NOTHING)
    await passed(10)
    assert (await call(counter, Total()), mailbox()) == (2, [])


@in_process
async def test_a_request_that_is_waited_for_in_vain_goes_on() -> None:
    counter = await Counter.start()
    request = send_request(counter, Wait(3))
    for timeout in (0, 1, 1):
        with pytest.raises(CallTimeout):
            await wait_response(request, timeout)
    assert (await wait_response(request, 2), mailbox(), links_and_monitors()) == ("awake", [], NOTHING)


@in_process
async def test_a_cancelled_wait_ends_the_request_where_it_is_received_and_not_where_it_is_waited_for() -> None:
    counter = await Counter.start()
    kept, dropped = send_request(counter, Wait(3)), send_request(counter, Wait(3))
    for wait in (wait_response(kept), receive_response(dropped)):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await wait
    assert (await wait_response(kept), links_and_monitors()) == ("awake", NOTHING)
    await passed(10)
    assert mailbox() == []


@in_process
async def test_a_message_that_was_received_is_checked_for_being_the_answer() -> None:
    counter = await Counter.start()
    first, second = send_request(counter, Add(1)), send_request(counter, Die(SystemError("x")))
    send(self_pid(), "another")
    await passed(1)
    other, reply_, down = [await receive() for _ in range(3)]
    assert [check_response(other, first), check_response(reply_, second), check_response(down, first)] == [None] * 3
    answer, failure = check_response(reply_, first), check_response(down, second)
    assert answer is not None
    assert failure is not None
    assert (answer.result(), answer.error(), answer.request, answer.label) == (1, None, first, None)
    with pytest.raises(CallError) as caught:
        failure.result()
    assert (failure.request, caught.value.reason.error) == (second, "SystemError")


@in_process
async def test_a_request_that_is_over_can_not_be_awaited_again() -> None:
    counter = await Counter.start()
    request = send_request(counter, Add(1))
    await receive_response(request)
    for wait in (receive_response, wait_response):
        with pytest.raises(ValueError, match="is over: no other answer will come"):
            await wait(request)


@in_process
async def test_only_who_has_sent_a_request_gets_its_reply() -> None:
    async def thief(request: RequestId[int]) -> None:
        with pytest.raises(ValueError, match=r"was sent by .*: only there its answer comes"):
            await receive_response(request)

    counter = await Counter.start()
    request = send_request(counter, Add(1))
    assert await ended(spawn(thief, request)) is NORMAL
    assert await receive_response(request) == 1


@in_process
async def test_a_process_may_ask_itself_and_have_another_answer() -> None:
    request = send_request(self_pid(), Total())
    question: Call = await receive(Call)

    async def answer() -> None:
        reply(question.caller, 7)

    spawn(answer)
    assert await receive_response(request) == 7


@in_process
async def test_a_server_may_ask_another_while_it_serves_and_answer_its_own_caller_then() -> None:
    class Front(GenServer):
        async def init(self, behind: Pid) -> None:
            self.behind = behind
            self.requests: RequestIds[str] = RequestIds()

        async def handle_call(self, request: Request[Any], caller: Caller, /) -> object:
            if isinstance(request, Total):
                return len(self.requests)
            self.requests.add(send_request(self.behind, request), label=caller)
            return NO_REPLY

        async def handle_info(self, message: Any, /) -> None:
            response = self.requests.check(message)
            if response is not None:
                reply(response.label, response.result())

    counter = await Counter.start()
    front = await Front.start(counter)
    request = send_request(front, Wait(5))
    assert (await call(front, Total()), await receive_response(request, 6), await call(front, Total())) == (
        1,
        "awake",
        0,
    )


# -- collections


@in_process
async def test_a_collection_gives_answers_as_they_come_each_with_its_label() -> None:
    requests: RequestIds[Any] = RequestIds()
    for label, seconds in (("slow", 3), ("fast", 1), ("middle", 2)):
        requests.add(send_request(await Counter.start(), Wait(seconds)), label=label)
    requests.add(send_request("nobody", Total()), label="nobody")
    assert (len(requests), [label for _, label in requests]) == (4, ["slow", "fast", "middle", "nobody"])
    seen: list[Any] = []
    while requests:
        response = await requests.receive()
        error = response.error()
        seen.append((response.label, response.result() if error is None else error.reason))
    assert seen == [("nobody", NOPROC), ("fast", "awake"), ("middle", "awake"), ("slow", "awake")]
    assert (mailbox(), links_and_monitors()) == ([], NOTHING)


@in_process
async def test_when_a_collection_is_received_too_late_all_its_requests_are_over() -> None:
    counter = await Counter.start()
    requests: RequestIds[Any] = RequestIds()
    ids = [send_request(counter, Wait(2)) for _ in range(3)]
    for each in ids:
        requests.add(each)
    with pytest.raises(TimeoutError, match="none of 3 requests was answered within 1 s"):
        await requests.receive(1)
    assert (len(requests), [each.over for each in ids], links_and_monitors()) == (0, [True] * 3, NOTHING)
    await passed(10)
    assert mailbox() == []


@in_process
async def test_when_a_collection_is_waited_for_in_vain_its_requests_go_on() -> None:
    counter = await Counter.start()
    requests: RequestIds[Any] = RequestIds()
    requests.add(send_request(counter, Wait(2)))
    for timeout in (0, 1):
        with pytest.raises(TimeoutError):
            await requests.wait(timeout)
    assert ((await requests.wait(2)).result(), len(requests)) == ("awake", 0)


@in_process
async def test_a_collection_that_is_given_up_leaves_nothing_behind() -> None:
    counter = await Counter.start()
    requests: RequestIds[Any] = RequestIds()
    for _ in range(2):
        requests.add(send_request(counter, Add(1)))
    await passed(1)
    requests.abandon()
    assert (len(requests), mailbox(), links_and_monitors()) == (0, [], NOTHING)


@in_process
async def test_an_empty_collection_has_no_answer_to_wait_for() -> None:
    requests: RequestIds[Any] = RequestIds()
    for wait in (requests.wait, requests.receive):
        with pytest.raises(LookupError, match="no request is in the collection"):
            await wait(None)
    assert requests.check("message") is None


@in_process
async def test_a_request_is_in_a_collection_once() -> None:
    requests: RequestIds[Any] = RequestIds()
    request = send_request(await Counter.start(), Add(1))
    requests.add(request)
    with pytest.raises(ValueError, match="is in the collection already"):
        requests.add(request)
    await requests.receive()
    with pytest.raises(ValueError, match="is over"):
        requests.add(request)


@in_process
async def test_other_messages_stay_in_order_while_a_collection_waits() -> None:
    counter = await Counter.start()
    requests: RequestIds[Any] = RequestIds()
    requests.add(send_request(counter, Wait(1)))
    for number in range(3):
        send(self_pid(), number)
    await requests.receive()
    assert mailbox() == [0, 1, 2]


@in_process
async def test_a_response_is_received_to_a_request_and_to_nothing_else() -> None:
    wrong: Any = self_pid()
    for ask in (receive_response, wait_response):
        with pytest.raises(TypeError, match="a request is what send_request has returned, not <Pid "):
            await ask(wrong)
    with pytest.raises(TypeError, match="a request is what send_request has returned, not <Pid "):
        RequestIds[int]().add(wrong)


@in_process
async def test_several_nodes_are_a_list() -> None:
    with pytest.raises(TypeError, match=r"on= takes a list of nodes; this is a single one: write \['a@127.0.0.1'\]"):
        await multi_call("server", "request", "a@127.0.0.1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # what is tested
    with pytest.raises(TypeError, match="on= takes a list of nodes"):
        abcast("server", "message", "a@127.0.0.1")


@in_process
async def test_one_that_would_ask_itself_among_others_asks_nobody() -> None:
    register("me", self_pid())
    with pytest.raises(CallingSelf):
        await multi_call("me", Total(), on=["other@127.0.0.1", node_name()])
    assert (mailbox(), links_and_monitors()) == ([], NOTHING)
