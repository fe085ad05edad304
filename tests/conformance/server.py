"""A server that answers at once, when it is told to, or never; and what comes of a call to it."""

from __future__ import annotations

from typing import Any

from pydist import NO_REPLY, Caller, CallError, CallTimeout, Exit, GenServer, Pid, Request, call, reply, send


class Ask(Request[Any], tag="conformance.ask"):
    """Is answered at once."""

    question: Any


class Keep(Request[Any], tag="conformance.keep"):
    """Is answered when the server gets the message "answer". `witness` is told "kept" and "answered"."""

    witness: Pid


class Leave(Request[Any], tag="conformance.leave"):
    """Ends the server."""

    reason: Any


class Server(GenServer):
    """See the head of this file."""

    async def init(self) -> None:
        self.kept: list[tuple[Caller, Pid]] = []

    async def handle_call(self, request: Request[Any], caller: Caller) -> object:
        match request:
            case Ask(question):
                return ("answer", question)
            case Leave(reason):
                raise Exit(reason)
            case Keep(witness):
                self.kept.append((caller, witness))
                send(witness, "kept")
                return NO_REPLY
            case _:
                return None

    async def handle_info(self, message: Any) -> None:
        for caller, witness in self.kept:
            reply(caller, "late")
            send(witness, "answered")


async def start_server() -> Pid:
    return await Server.start()


async def ask(server: Any, request: Request[Any], timeout: float = 15.0) -> Any:
    """The reply, or ("raised", the name of the error, its reason)."""
    try:
        return await call(server, request, timeout)
    except CallTimeout as error:
        return "raised", type(error).__name__
    except CallError as error:
        return "raised", type(error).__name__, error.reason
