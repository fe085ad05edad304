"""State machines that are called from another node."""

from __future__ import annotations

from typing import Any

from pydist import (
    Answer,
    Call,
    Cast,
    Event,
    GenStatem,
    Node,
    Request,
    Transition,
    cast,
    keep_state,
    next_state,
    receive_response,
    send_request,
)

Pair = tuple[Node, Node]


class Ask(Request[Any], tag="test_remote_machines.ask"):
    pass


class Gate(GenStatem[str, None]):
    """Answers, when it is open, who asks; what is asked before waits."""

    async def init(self) -> Transition[str, None]:
        return next_state("closed", None)

    async def handle_event(self, event: Event, state: str, data: None, /) -> Answer[str, None]:
        match event:
            case Call() if state == "closed":
                return keep_state(postpone=True)
            case Call(caller):
                return keep_state(reply=(caller, caller.pid.node))
            case Cast(new_state):
                return next_state(new_state)
            case _:
                return self.unhandled(event)


async def test_a_call_from_another_node_can_be_postponed(pair: Pair) -> None:
    a, b = pair

    async def start() -> None:
        await Gate.start(name="gate")

    async def ask() -> Any:
        waiting = send_request(("gate", b.name), Ask())
        cast(("gate", b.name), "open")
        return await receive_response(waiting)

    await b.run(start)
    assert await a.run(ask) == a.name
