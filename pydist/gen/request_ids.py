"""Requests whose replies are awaited later (OTP's `gen_server:send_request/2` and its request id collections).

    first = send_request(server, Add(1))
    second = send_request(other, Total())
    ...
    sum_ = await receive_response(first) + await receive_response(second)

Many at once go into a collection, each with a label, and come out in the order in which they are answered:

    requests = RequestIds()
    for host in hosts:
        requests.add(send_request(host, Load()), label=host)
    while requests:
        response = await requests.receive(timeout=2)
        print(response.label, response.result())

A request belongs to the process that has sent it. It is over when its reply or its failure has been seen, or when
`receive_response` has waited long enough: then a late reply is dropped before the mailbox.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, Generic, TypeVar

from pydist.errors import CallError
from pydist.gen.addresses import Server, Via, locate
from pydist.gen.calls import (
    DEFAULT_TIMEOUT,
    Call,
    Caller,
    Reply,
    failure,
    give_up,
    nobody,
    node_of,
    too_late,
)
from pydist.mailbox import MISSING
from pydist.message import Asks
from pydist.messaging import acting, check_timeout, receive
from pydist.primitives import self_pid
from pydist.terms import NOPROC, Down, Pid, Ref, RegisteredName

Q = TypeVar("Q")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class RequestId(Generic[R_co]):
    """A request that was sent; `receive_response` has its reply."""

    __slots__ = ("over", "pid", "ref", "request", "server", "target")

    def __init__(
        self, pid: Pid, ref: Ref, server: Server, target: Pid | RegisteredName | None, request: Asks[Any, R_co]
    ) -> None:
        self.pid: Final = pid
        """Who has sent it."""
        self.ref: Final = ref
        self.server: Final = server
        self.target: Final = target
        self.request: Final = request
        self.over = False
        """Its reply or its failure was seen, or nobody waits for them any more."""

    def __repr__(self) -> str:
        return f"<RequestId {self.ref.number} {self.request!r} to {self.server!r}>"


class Response(Generic[R_co]):
    """What a request came to: a reply, or a failure."""

    __slots__ = ("_answer", "label", "request")

    def __init__(self, request: RequestId[R_co], answer: Any, label: Any = None) -> None:
        self.request: Final = request
        self.label: Final = label
        """What was given to `RequestIds.add`."""
        self._answer = answer

    def error(self) -> CallError | None:
        """Why there is no reply; None if there is one."""
        if type(self._answer) is Reply:
            return None
        asked = self.request
        if asked.target is None:
            return nobody(asked.server, asked.request)
        _, runtime = acting()
        return failure(self._answer.reason, runtime, asked.target, asked.server, asked.request)

    def result(self) -> R_co:
        """The reply.

        Raises:
            NoProcess, NodeDisconnected, CallError: there is none; see `call`.
        """
        error = self.error()
        if error is not None:
            raise error
        value: R_co = self._answer.value
        return value


def send_request(server: Pid[Q] | str | RegisteredName | Via, request: Asks[Q, R]) -> RequestId[R]:
    """Send a request and go on; its reply is awaited later (OTP's `gen_server:send_request/2`).

    Whatever is wrong with the server comes as the answer. A process may ask itself so.

    Raises:
        EncodeError: the request can't cross the wire; it was not sent.
    """
    return begin_request(Call, server, request, None)


def begin_request(
    envelope: Callable[[Caller, Any], Any], server: Server, request: Asks[Any, R], timeout: float | None
) -> RequestId[R]:
    """As `send_request`, in another envelope; the server is told that its caller waits `timeout` seconds."""
    check_timeout(timeout)
    process, runtime = acting()
    target = locate(server)
    if target is None:
        ref = runtime.new_ref()
        process.admit(Down(ref, process.pid, NOPROC))  # as OTP does; however full the mailbox is
        return RequestId(process.pid, ref, server, target, request)
    ref = runtime.new_ref()
    caller = Caller(process.pid, ref, timeout, node_of(target), runtime.loop.time())
    runtime.ask(process, target, ref, envelope(caller, request))
    return RequestId(process.pid, ref, server, target, request)


async def receive_response(request: RequestId[R], timeout: float | None = DEFAULT_TIMEOUT) -> R:
    """Wait for the reply (OTP's `gen_server:receive_response/2`).

    Args:
        request: what `send_request` returned.
        timeout: seconds to wait, None for ever. When they have passed, the request is over: its late reply is dropped.

    Raises:
        CallTimeout: no reply in time.
        NoProcess, NodeDisconnected, CallError: there will be none; see `call`.
        TypeError, ValueError: it is no request, it is over, or of another process.
    """
    _check(request)
    try:
        answer: Any = await receive(request.ref, timeout)
    except TimeoutError:
        answer = _abandon(request)
        if answer is MISSING:
            raise too_late(request.server, request.request, timeout) from None
    except BaseException:
        _abandon(request)
        raise
    request.over = True
    return Response(request, answer).result()


async def wait_response(request: RequestId[R], timeout: float | None = DEFAULT_TIMEOUT) -> R:
    """As `receive_response`, but when the time has passed, or the wait was cancelled, the request goes on, and can be
    waited for again (OTP's `gen_server:wait_response/2`)."""
    _check(request)
    try:
        answer: Any = await receive(request.ref, timeout)
    except TimeoutError:
        raise too_late(request.server, request.request, timeout) from None
    request.over = True
    return Response(request, answer).result()


def check_response(message: Any, request: RequestId[R]) -> Response[R] | None:
    """Whether a message that was received is the answer (OTP's `check_response/2`): what it says, or None."""
    if not _answers(message) or message.ref != request.ref:
        return None
    request.over = True
    return Response(request, message)


def _answers(message: Any) -> bool:
    return type(message) is Reply or type(message) is Down


def _check(request: Any) -> None:
    if not isinstance(request, RequestId):
        raise TypeError(f"a request is what send_request has returned, not {request!r}")
    if request.over:
        raise ValueError(f"{request!r} is over: no other answer will come")
    if request.pid != self_pid():
        raise ValueError(f"{request!r} was sent by {request.pid!r}: only there its answer comes")


def _abandon(request: RequestId[Any]) -> Any:
    request.over = True
    process, _ = acting()
    return give_up(process, request.ref)


class RequestIds(Generic[R]):
    """A collection of requests of one process, each with a label; see the head of this file."""

    __slots__ = ("_requests",)

    def __init__(self) -> None:
        self._requests: dict[Ref, tuple[RequestId[R], Any]] = {}

    def add(self, request: RequestId[R], label: Any = None) -> None:
        """Take a request in (OTP's `reqids_add/3`).

        Raises:
            TypeError, ValueError: it is no request, it is in already, it is over, or of another process.
        """
        _check(request)
        if request.ref in self._requests:
            raise ValueError(f"{request!r} is in the collection already")
        self._requests[request.ref] = request, label

    def __len__(self) -> int:
        """How many wait for their answer (OTP's `reqids_size/1`)."""
        return len(self._requests)

    def __iter__(self) -> Iterator[tuple[RequestId[R], Any]]:
        """Each request with its label, oldest first (OTP's `reqids_to_list/1`)."""
        return iter(list(self._requests.values()))

    async def receive(self, timeout: float | None = DEFAULT_TIMEOUT) -> Response[R]:
        """Wait for the first answer to any of them, which leaves the collection with it (OTP's `receive_response/3`).

        Args:
            timeout: seconds to wait, None for ever. When they have passed, all of them are over, and the collection is
                empty: late replies are dropped.

        Raises:
            TimeoutError: no answer in time.
            LookupError: there is no request in the collection.
        """
        try:
            return await self.wait(timeout)
        except BaseException:
            self.abandon()
            raise

    async def wait(self, timeout: float | None = DEFAULT_TIMEOUT) -> Response[R]:
        """As `receive`, but when the time has passed they go on, and can be waited for again (`wait_response/3`)."""
        if not self._requests:
            raise LookupError("no request is in the collection: no answer will come")
        try:
            answer = await receive(self._is_answer, timeout)
        except TimeoutError:
            raise TimeoutError(f"none of {len(self)} requests was answered within {timeout} s") from None
        return self._taken(answer)

    def abandon(self) -> None:
        """Wait for none of them any longer: the collection is empty, and late replies are dropped."""
        for request, _ in self:
            _abandon(request)
        self._requests.clear()

    def check(self, message: Any) -> Response[R] | None:
        """Whether a message that was received answers one of them, which then leaves the collection
        (`check_response/3`): the answer, or None."""
        return self._taken(message) if self._is_answer(message) else None

    def _is_answer(self, message: Any) -> bool:
        return _answers(message) and type(message.ref) is Ref and message.ref in self._requests

    def _taken(self, message: Any) -> Response[R]:
        request, label = self._requests.pop(message.ref)
        request.over = True
        return Response(request, message, label)
