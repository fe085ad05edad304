"""Servers that are written wrongly: each gets an error that says what to do."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from pydist import Caller, CallError, GenServer, Request, call, send
from pydist.gen.calls import Cast
from pydist.gen.server_loop import Handlers
from tests.helpers import ended, in_process, plain


class Number(Request[int]):
    pass


class Numbers(Request[list[int]]):
    pass


class Nothing(Request[None]):
    pass


class Maybe(Request["int | None"]):
    pass


class MaybeToo(Request[int | None]):
    pass


class Anything(Request[object]):
    pass


class Inherited(Number):
    pass


class Forgetful(GenServer):
    """Forgets to return anything."""

    async def handle_call(self, request: Request[Any], caller: Caller, /) -> object:
        return None


@pytest.mark.parametrize("request_", [Number(), Numbers(), Inherited()])
def test_a_handler_that_forgets_its_return_ends_the_server_with_a_clear_error(request_: Request[Any]) -> None:
    @in_process
    async def check() -> None:
        server = await Forgetful.start(name="forgetful")
        with pytest.raises(CallError) as caught:
            await call(server, request_)
        text = (
            f"handle_call of Forgetful 'forgetful' has returned None for {request_!r}, which has another reply: is a "
            "`return` missing? Return NO_REPLY if the reply comes later, by `reply(caller, value)`"
        )
        assert plain(caught.value.reason) == ("TypeError", text)

    check()


@pytest.mark.parametrize("request_", [Nothing(), Maybe(), MaybeToo(), Anything(), "no request at all"])
def test_a_handler_may_return_none_where_it_can_be_meant(request_: Any) -> None:
    @in_process
    async def check() -> None:
        assert await call(await Forgetful.start(), request_) is None

    check()


class Chatty(GenServer):
    """Returns something from each handler, as Erlang's do."""

    async def init(self, talks: bool = False) -> Any:
        self.timeout_after(5)
        return "ok" if talks else None

    async def handle_cast(self, message: Any, /) -> Any:
        return "noreply"

    async def handle_info(self, message: Any, /) -> Any:
        if message == "continue":
            self.continue_with(1)
            return None
        return "noreply"

    async def handle_continue(self, term: Any, /) -> Any:
        return "noreply"

    async def handle_timeout(self) -> Any:
        return "noreply"


@pytest.mark.parametrize(
    ("handler", "message"),
    [("handle_cast", Cast("x")), ("handle_info", "x"), ("handle_continue", "continue"), ("handle_timeout", None)],
)
def test_a_handler_that_returns_what_nobody_wants_ends_the_server_with_a_clear_error(
    handler: str, message: Any
) -> None:
    @in_process
    async def check() -> None:
        server = await Chatty.start()
        if message is not None:
            send(server, message)
        text = (
            f"{handler} of Chatty has returned 'noreply', and must return nothing: state is kept in `self`, `raise "
            "Stop(reason)` ends it, `self.continue_with(...)` and `self.timeout_after(...)` say what comes next"
        )
        assert plain(await ended(server)) == ("TypeError", text)

    check()


@in_process
async def test_an_init_that_returns_something_does_not_start() -> None:
    with pytest.raises(Exception, match="init of Chatty has returned 'ok', and must return nothing"):
        await Chatty.start(talks=True)


class Plain:
    """Has a handler that is not async."""

    def handle_cast(self, message: Any) -> None:
        pass


@pytest.mark.parametrize(
    "name",
    ["init", "handle_call", "handle_cast", "handle_info", "handle_continue", "handle_timeout", "terminate"],
)
def test_a_handler_that_is_not_async_is_refused_when_its_class_is_made(name: str) -> None:
    with pytest.raises(TypeError, match=rf"Wrong\.{name} is no async function: write `async def {name}`"):
        type("Wrong", (GenServer,), {name: Plain.handle_cast})


def test_a_handler_of_another_base_that_is_not_async_is_refused_too() -> None:
    with pytest.raises(TypeError, match=r"Wrong\.handle_cast is no async function"):
        type("Wrong", (Plain, GenServer), {})


@in_process
async def test_a_value_that_is_no_request_can_be_asked_too() -> None:
    class Echo(GenServer):
        async def handle_call(self, request: Any, caller: Caller, /) -> object:
            return request

    assert await call(await Echo.start(), ("get", 1)) == ("get", 1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # as in Erlang


@in_process
async def test_a_server_can_have_other_bases_and_slots() -> None:
    class Mixin:
        greeting = "hello"

    @attrs.define(eq=False, slots=False)
    class Kept(Mixin, GenServer):
        count: int = 0

        async def handle_call(self, request: Request[Any], caller: Caller, /) -> object:
            self.count += 1
            return self.greeting, self.count

    server = await Kept.start()
    assert await call(server, Anything()) == ("hello", 1)
    handlers: Handlers = Kept()
    assert handlers.system_get_state() == {"count": 0}
