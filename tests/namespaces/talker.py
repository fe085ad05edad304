"""A node that says what it hears and does what it is told: `python -m tests.namespaces.talker OPTIONS`.

The options of the node are JSON; an underlay in them is the name of a WireGuard interface, and `hosts` is what that is
given. Each line of its output begins with the time: the clock is the same on all hosts. What the node logs about its
underlay is said, too.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import time
from typing import Any, Final

import structlog
from structlog.typing import EventDict

from pydist import (
    Down,
    Message,
    NodeDown,
    NodeRecovered,
    NodeSuspect,
    NodeUp,
    configure_logging,
    connect,
    monitor,
    monitor_nodes,
    node_name,
    receive,
    register,
    run,
    self_pid,
    send,
    spawn,
)
from pydist.underlay.wireguard import WireGuardUnderlay

NAME: Final = "talker"


class Order(Message, tag="talker.order"):
    """A line of input."""

    words: list[str]


async def talk() -> None:
    register(NAME, self_pid())
    monitor_nodes(True, suspects=True)
    spawn(_take_orders, self_pid(), link=True)
    _say("ready", node_name())
    while True:
        _hear(await receive())


async def _take_orders(talker: Any) -> None:
    while line := await asyncio.to_thread(sys.stdin.readline):
        send(talker, Order(line.split()))


def _hear(message: object) -> None:
    match message:
        case Order([verb, node, *rest]):
            _obey(verb, node, rest)
        case NodeUp(node):
            _say("up", node)
        case NodeSuspect(node):
            _say("suspect", node)
        case NodeRecovered(node):
            _say("recovered", node)
        case NodeDown(node, reason):
            _say("down", node, reason)
        case Down(_, _, reason):
            _say("lost", reason)
        case bytes():
            _say("read", len(message), hashlib.sha256(message).hexdigest())
        case _:
            _say("read", message)


def _obey(verb: str, node: str, rest: list[str]) -> None:
    match verb, rest:
        case "connect", []:
            connect(node)
        case "watch", []:
            monitor((NAME, node))
        case "tell", [text]:
            send((NAME, node), text)
        case "pour", [size]:
            load = bytes(range(256)) * (int(size) // 256)
            digest = hashlib.sha256(load).hexdigest()
            _say("poured", digest)
            send((NAME, node), load)
        case _:
            _say("unknown", verb)


def _say_of_underlay(_logger: object, _level: str, event: EventDict) -> EventDict:
    if event["event"].startswith("underlay_"):
        _say(*(f"{key}={value}" for key, value in event.items()))
    return event


def _say(*words: object) -> None:
    print(f"{time.monotonic():.3f}", *words, flush=True)  # noqa: T201  # that is what it is for


if __name__ == "__main__":
    options = json.loads(sys.argv[1])
    if "underlay" in options:
        options["underlay"] = WireGuardUnderlay(options["underlay"], hosts=options.pop("hosts", None))
    configure_logging()
    structlog.configure(processors=[_say_of_underlay, *structlog.get_config()["processors"]])
    run(talk, **options)
