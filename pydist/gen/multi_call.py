"""One request, or one message, to the servers of one name on several nodes (OTP's `multi_call` and `abcast`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from pydist.gen.calls import calling_self, cast, is_self
from pydist.gen.request_ids import RequestIds, send_request
from pydist.message import Request
from pydist.messaging import acting
from pydist.net_kernel import nodes
from pydist.primitives import node_name

R = TypeVar("R")


async def multi_call(
    name: str, request: Request[R], on: Iterable[str] | None = None, timeout: float | None = None
) -> tuple[dict[str, R], list[str]]:
    """Ask the server called `name` on each of several nodes, all at once (OTP's `gen_server:multi_call/4`).

    Args:
        name: what it is registered as on each node.
        request: what is asked of each.
        on: the nodes; this one and all that it is connected with by default.
        timeout: seconds to wait in all; None for ever.

    Returns:
        The replies by node, and the nodes that gave none: not reached, nobody there, ended meanwhile, or not in time.

    Raises:
        CallingSelf: the caller is one of them.
        TypeError: `on` is a single name.
        EncodeError: the request can't cross the wire.
    """
    _, runtime = acting()
    requests = _ask(name, request, _nodes(on))
    replies: dict[str, R] = {}
    silent = [node for _, node in requests]
    deadline = None if timeout is None else runtime.loop.time() + timeout
    while requests:
        left = None if deadline is None else max(0.0, deadline - runtime.loop.time())
        try:
            response = await requests.receive(left)
        except TimeoutError:
            break
        if response.error() is None:
            replies[response.label] = response.result()
            silent.remove(response.label)
    return replies, silent


def _ask(name: str, request: Request[R], on: Iterable[str]) -> RequestIds[R]:
    """The requests on their way, labelled with their nodes. If one can't be sent, none is waited for."""
    process, runtime = acting()
    servers = [(name, node) for node in on]
    if any(is_self(process, runtime, server) for server in servers):
        raise calling_self((name, process.pid.node), request)
    requests: RequestIds[R] = RequestIds()
    try:
        for server in servers:
            requests.add(send_request(server, request), label=server[1])
    except BaseException:
        requests.abandon()
        raise
    return requests


def abcast(name: str, message: Any, on: Iterable[str] | None = None) -> None:
    """Send a message to `handle_cast` of the server called `name` on each of several nodes; says nothing about delivery
    (OTP's `gen_server:abcast/3`).

    Args:
        name: what it is registered as on each node.
        message: what is sent to each.
        on: the nodes; this one and all that it is connected with by default.

    Raises:
        TypeError: `on` is a single name.
        EncodeError: it can't cross the wire.
    """
    for node in _nodes(on):
        cast((name, node), message)


def _nodes(on: Iterable[str] | None) -> Iterable[str]:
    if isinstance(on, str):
        raise TypeError(f"on= takes a list of nodes; this is a single one: write [{on!r}]")
    return [node_name(), *nodes()] if on is None else on
