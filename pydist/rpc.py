"""Functions called on other nodes (OTP's `erpc`).

    from pydist import rpc

    width = await rpc.call("b@10.0.0.2", measure, path)      # measure is marked with @pydist.export, here and there
    rpc.cast("b@10.0.0.2", "media.files:forget", path)       # or its name is given

The function runs in a process of its own over there, on the own node too, and may be `async def` or not. What it
returns comes as the reason of that process's end, so that every call has an answer, whatever happens: a value, what it
has raised, how it was ended, or that the node was lost.

As in OTP, a call that has timed out ends nothing: the function runs on, and what it returns is dropped before the
mailbox. What the function has linked to its process ends with it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from inspect import isawaitable
from math import inf
from typing import Any, Final, Generic, TypeVar, TypeVarTuple, overload

from pydist.core.shown import shown
from pydist.errors import CallTimeout, ConnectionFull, Exit, NodeDisconnected, NotExported, PydistError, RemoteError
from pydist.exports import CALL, export, is_process_class, name_of_export
from pydist.mailbox import MISSING
from pydist.message import Message
from pydist.messaging import acting, check_timeout, current, receive
from pydist.primitives import demonitor, self_pid
from pydist.process import Process, crash_of
from pydist.remote_spawns import SpawnReply, awaits_spawn
from pydist.spawn_on import exported, spawn_failure, spawn_request, spawn_request_abandon
from pydist.task_process import Returned
from pydist.terms import NOCONNECTION, Atom, Crash, Down, Pid, Reason, Ref

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
Ts = TypeVarTuple("Ts")

DEFAULT_TIMEOUT: Final = 5.0
"""Seconds that a call waits. (`erpc` waits for ever by default; `rpc` and `gen_server` know better.)"""


# -- over there


class Raised(Message, tag="$raised"):
    """The function has raised: a `Crash`, or the reason of an `Exit`."""

    reason: Reason


class Unexported(Message, tag="$unexported"):
    """The node exports no such function to that one."""

    name: str


class _Answer(Exit):
    """Ends the process of a call with what comes of it: nobody needs a report of that."""

    silent = True


@export(name=CALL)
async def _run(name: str, args: tuple[Any, ...], answer: bool) -> None:
    """Run what this node exports as `name`, as a process. Of a cast, what it raises is reported here."""
    try:
        function = exported(name)
    except NotExported:
        if answer:
            raise _Answer(Unexported(name)) from None
        return
    current().label = name
    if not answer:
        await _value(name, function, args)
        return
    try:
        outcome: Message = Returned(await _value(name, function, args))
    except Exit as left:
        if current().dying:
            raise
        outcome = Raised(left.reason)
    except Exception as error:  # noqa: BLE001  # whatever it is, the caller is to hear of it
        outcome = Raised(crash_of(error))
    raise _Answer(outcome)


async def _value(name: str, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    if is_process_class(function):
        raise TypeError(f"{name} is a process class: start it with spawn_on, and call the server")
    try:
        result = function(*args)
        return await result if isawaitable(result) else result
    except SystemExit as error:  # it ends what was called, and not the whole node at a peer's word
        raise Exit(crash_of(error)) from error


# -- here


class RpcRequest(Generic[R_co]):
    """A function that was called; `receive_response` has what it returns."""

    __slots__ = ("function", "node", "over", "pid", "ref")

    def __init__(self, pid: Pid, ref: Ref, node: str, function: str) -> None:
        self.pid: Final = pid
        """Who has called it."""
        self.ref: Final = ref
        self.node: Final = node
        self.function: Final = function
        self.over = False
        """Its answer was seen, or nobody waits for it any more."""

    def __repr__(self) -> str:
        return f"<RpcRequest {self.ref.number} {self.function} on {self.node}>"


class RpcResponse(Generic[R_co]):
    """What has come of a function that was called: what it has returned, or why it has not."""

    __slots__ = ("_answer", "function", "node")

    def __init__(self, node: str, function: str, answer: Any) -> None:
        self.node: Final = node
        self.function: Final = function
        self._answer = answer

    def __repr__(self) -> str:
        return f"<RpcResponse of {self.function} on {self.node}: {shown(self.error() or self.result())}>"

    def error(self) -> PydistError | TypeError | None:
        """Why it has returned nothing; None if it has. The errors are those of `call`."""
        answer = self._answer
        if isinstance(answer, PydistError):
            return answer
        if type(answer) is SpawnReply:
            return spawn_failure(current(), self.node, self.function, answer.reason)
        match answer.reason:
            case Returned():
                return None
            case Raised(reason):
                return self._remote_error(reason)
            case Unexported():
                return NotExported(self.function, self.node)
            case reason if reason is NOCONNECTION:
                text = f"the connection to {self.node} was lost; whether {self.function} has run is unknown"
                return NodeDisconnected(("nodedown", self.node), self.node, self.function, text)
            case Crash("pydist.errors.EncodeError") as crash:  # the node's own words: what a function raises is Raised
                return self._remote_error(_in_transit(crash))
            case reason:
                return self._remote_error(reason, signal=True)

    def result(self) -> R_co:
        """What it has returned.

        Raises:
            NotExported, RemoteError, NodeDisconnected, CallTimeout: nothing; see `call`.
        """
        error = self.error()
        if error is not None:
            raise error
        value: R_co = self._answer.reason.value
        return value

    def _remote_error(self, reason: Reason, *, signal: bool = False) -> RemoteError:
        if isinstance(reason, Crash):
            error, message, traceback = reason.error, reason.message, reason.traceback
        else:
            error, message, traceback = "Exit", shown(reason), ""
        return RemoteError(
            self.node, self.function, reason, error=error, message=message, traceback=traceback, signal=signal
        )


def _in_transit(crash: Crash) -> Crash:
    """The words of a node whose end of a call could not cross, as those who call understand them."""
    return Crash(crash.error, f"what it has returned or raised can't cross the wire: {crash.message}", crash.traceback)


@overload
async def call(
    node: str, function: Callable[[*Ts], Coroutine[Any, Any, R]], *args: *Ts, timeout: float | None = ...
) -> R: ...
@overload
async def call(node: str, function: Callable[[*Ts], R], *args: *Ts, timeout: float | None = ...) -> R: ...
@overload
async def call(node: str, function: str, *args: Any, timeout: float | None = ...) -> Any: ...
async def call(  # type: ignore[misc]  # to mypy, *args: Any takes not all that *Ts may be
    node: str,
    function: Callable[..., Any] | str,
    *args: Any,
    timeout: float | None = DEFAULT_TIMEOUT,  # asyncio.timeout would not look once more
) -> Any:
    """Call a function on a node, and wait for what it returns (`erpc:call/5`).

    Args:
        node: its name; the own one is allowed.
        function: one that is marked by `export`, or the name of an export.
        *args: its arguments. They cross the wire, as the result does.
        timeout: seconds to wait, None for ever. When they have passed, the function runs on all the same.

    Raises:
        NotExported: the node exports no such function to this one.
        RemoteError: it has raised, or its process was ended, or what it returns can't cross the wire.
        CallTimeout: it has not returned in time.
        NodeDisconnected: the node can't be reached, or was lost meanwhile; whether it has run is unknown then.
        StartError: the node runs too much for this one already, or knows of no remote calls.
        EncodeError: the arguments can't cross the wire; nothing was sent.
        ConnectionFull, BadNodeName, TypeError, ValueError: nothing was sent.
    """
    check_timeout(timeout)
    return await receive_response(send_request(node, function, *args), timeout)


@overload
def send_request(node: str, function: Callable[[*Ts], Coroutine[Any, Any, R]], *args: *Ts) -> RpcRequest[R]: ...
@overload
def send_request(node: str, function: Callable[[*Ts], R], *args: *Ts) -> RpcRequest[R]: ...
@overload
def send_request(node: str, function: str, *args: Any) -> RpcRequest[Any]: ...
def send_request(  # type: ignore[misc]  # as call
    node: str, function: Callable[..., Any] | str, *args: Any
) -> RpcRequest[Any]:
    """Call a function on a node and go on; what it returns is awaited later (`erpc:send_request/4`).

    Raises:
        EncodeError, ConnectionFull, BadNodeName, NotExported, TypeError: nothing was sent; see `call`.
    """
    name = name_of_export(function)
    ref = spawn_request(node, CALL, name, args, True, monitor=True)
    return RpcRequest(self_pid(), ref, node, name)


async def receive_response(request: RpcRequest[R], timeout: float | None = DEFAULT_TIMEOUT) -> R:
    """Wait for what the function returns (`erpc:receive_response/2`).

    Args:
        request: what `send_request` has returned.
        timeout: seconds to wait, None for ever. When they have passed, the request is over: a late result is dropped.

    Raises:
        NotExported, RemoteError, NodeDisconnected, StartError, CallTimeout: as `call`.
        TypeError, ValueError: it is no request, it is over, or of another process.
    """
    return (await _response(request, _deadline(timeout), timeout)).result()


async def wait_response(request: RpcRequest[R], timeout: float | None = DEFAULT_TIMEOUT) -> R:
    """As `receive_response`, but when the time has passed, or the wait was cancelled, the request goes on, and can be
    waited for again (`erpc:wait_response/2`)."""
    _check(request)
    try:
        answer = await _answer(request.ref, _deadline(timeout))
    except TimeoutError:
        raise _too_late(request, timeout) from None
    request.over = True
    response: RpcResponse[R] = RpcResponse(request.node, request.function, answer)
    return response.result()


def check_response(message: Any, request: RpcRequest[R]) -> RpcResponse[R] | None:
    """Whether a message that was received is the answer (`erpc:check_response/2`): what it says, or None.

    A `SpawnReply` with a pid comes before the answer, and is none: the function has begun.
    """
    if not _is_answer(message) or message.ref != request.ref:
        return None
    request.over = True
    return RpcResponse(request.node, request.function, message)


def cast(node: str, function: Callable[[*Ts], Any] | str, *args: *Ts) -> None:
    """Call a function on a node, and never hear of it again (`erpc:cast/4`). What it raises is in the log over there.

    Raises:
        EncodeError, ConnectionFull, BadNodeName, NotExported, TypeError: nothing was sent; see `call`.
    """
    ref = spawn_request(node, CALL, name_of_export(function), args, False)
    if not spawn_request_abandon(ref):  # on the own node the reply has come already
        _drop_reply(current(), ref)


@overload
async def multicall(
    nodes: Iterable[str], function: Callable[[*Ts], Coroutine[Any, Any, R]], *args: *Ts, timeout: float | None = ...
) -> list[RpcResponse[R]]: ...
@overload
async def multicall(
    nodes: Iterable[str], function: Callable[[*Ts], R], *args: *Ts, timeout: float | None = ...
) -> list[RpcResponse[R]]: ...
@overload
async def multicall(
    nodes: Iterable[str], function: str, *args: Any, timeout: float | None = ...
) -> list[RpcResponse[Any]]: ...
async def multicall(  # type: ignore[misc]  # to mypy, *args: Any takes not all that *Ts may be
    nodes: Iterable[str],
    function: Callable[..., Any] | str,
    *args: Any,
    timeout: float | None = DEFAULT_TIMEOUT,  # as call
) -> list[RpcResponse[Any]]:
    """Call a function on several nodes, on all at once (`erpc:multicall/5`).

    Args:
        nodes: their names; the own one may be among them.
        function: as in `call`.
        *args: as in `call`.
        timeout: seconds to wait in all.

    Returns:
        What has come of each, in the order of `nodes`.

    Raises:
        EncodeError, BadNodeName, NotExported, TypeError: nothing that could be called; no answer is waited for.
    """
    check_timeout(timeout)
    requests = _send_to_all(_listed(nodes), name_of_export(function), args)
    until = _deadline(timeout)
    try:
        return [await _collected(request, until, timeout) for request in requests]
    finally:
        _abandon_all(requests)


def multicast(nodes: Iterable[str], function: Callable[[*Ts], Any] | str, *args: *Ts) -> None:
    """`cast` to several nodes (`erpc:multicast/4`)."""
    for node in _listed(nodes):
        cast(node, function, *args)


# -- the parts of which these are made


def _listed(nodes: Iterable[str]) -> Iterable[str]:
    if isinstance(nodes, str):
        raise TypeError(f"a list of nodes is wanted; this is a single one: write [{nodes!r}]")
    return nodes


def _send_to_all(nodes: Iterable[str], name: str, args: tuple[Any, ...]) -> list[RpcRequest[Any] | RpcResponse[Any]]:
    """The requests; for nodes that take no more, what has come of them. If one can't be sent, none is waited for."""
    sent: list[RpcRequest[Any] | RpcResponse[Any]] = []
    try:
        for node in nodes:
            try:
                sent.append(send_request(node, name, *args))
            except ConnectionFull as full:
                sent.append(RpcResponse(node, name, full))
    except BaseException:
        _abandon_all(sent)
        raise
    return sent


async def _collected(sent: RpcRequest[Any] | RpcResponse[Any], until: float, timeout: float | None) -> RpcResponse[Any]:
    if isinstance(sent, RpcResponse):
        return sent
    try:
        return await _response(sent, until, timeout)
    except CallTimeout as late:
        return RpcResponse(sent.node, sent.function, late)


def _abandon_all(sent: Iterable[RpcRequest[Any] | RpcResponse[Any]]) -> None:
    for each in sent:
        if isinstance(each, RpcRequest) and not each.over:
            _abandon(each)


async def _response(request: RpcRequest[R], until: float, timeout: float | None) -> RpcResponse[R]:
    _check(request)
    try:
        answer = await _answer(request.ref, until)
    except TimeoutError:
        answer = _abandon(request)
        if answer is MISSING:
            raise _too_late(request, timeout) from None
    except BaseException:
        _abandon(request)
        raise
    request.over = True
    return RpcResponse(request.node, request.function, answer)


def _deadline(timeout: float | None) -> float:
    check_timeout(timeout)
    return inf if timeout is None else acting()[1].loop.time() + timeout


async def _answer(ref: Ref, until: float) -> Any:
    """The `Down`, or the `SpawnReply` that nothing was started. Raises TimeoutError."""
    loop = acting()[1].loop
    while True:
        message = await receive(ref, None if until == inf else max(0.0, until - loop.time()))
        if _is_answer(message):
            return message


def _is_answer(message: Any) -> bool:
    if type(message) is not Down and (type(message) is not SpawnReply or message.pid is not None):
        return False
    return not _goes_on(current(), message.ref)


def _goes_on(process: Process, ref: Ref) -> bool:
    """Whether the function has not begun, or its monitor has not fired: then whoever says it is over makes that up."""
    watches = process.relations is not None and ref in process.relations.monitors
    return watches or awaits_spawn(process, ref)


def _abandon(request: RpcRequest[Any]) -> Any:
    """Wait no longer, but look once more, for the answer may have come by now: it, or MISSING."""
    request.over = True
    process: Process = current()
    if process.over:
        return MISSING
    process.close_alias(request.ref)
    answer = process.mailbox.flush(lambda message: _is_answer(message) and message.ref == request.ref)
    demonitor(request.ref, flush=True)
    _drop_reply(process, request.ref)
    return answer


def _drop_reply(process: Process, ref: Ref) -> None:
    process.mailbox.flush(lambda message: type(message) is SpawnReply and message.ref == ref)


def _too_late(request: RpcRequest[Any], timeout: float | None) -> CallTimeout:
    text = f"{request.function} on {request.node} has not returned within {timeout} s; it may run on there"
    return CallTimeout(Atom("timeout"), request.node, request.function, text)


def _check(request: Any) -> None:
    if not isinstance(request, RpcRequest):
        raise TypeError(f"a request is what rpc.send_request has returned, not {request!r}")
    if request.over:
        raise ValueError(f"{request!r} is over: no other answer will come")
    if request.pid != self_pid():
        raise ValueError(f"{request!r} was sent by {request.pid!r}: only there its answer comes")
