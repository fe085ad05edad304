"""Where a server is found, and under which name it starts (OTP's `gen:server_ref()` and `gen:emgr_name()`).

A server is called by its pid, by a name on this node, by `(name, node)`, or by way of a module that keeps names of its
own: `Via(module, key)`. It starts under a name on this node, or under a `Via`.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Protocol, TypeAlias

import attrs

from pydist.messaging import acting
from pydist.terms import Pid, RegisteredName


class ViaModule(Protocol):
    """What keeps names of its own (OTP's `via` contract). A module, a class or an object with these three functions."""

    def register_name(self, key: Any, pid: Pid, /) -> bool | Awaitable[bool]:
        """Give `key` to `pid`, which calls this itself as it starts; False if somebody has it."""
        ...

    def unregister_name(self, key: Any, /) -> object:
        """Free `key`; nothing if nobody has it."""
        ...

    def whereis_name(self, key: Any, /) -> Pid | None:
        """Who has `key`, or None."""
        ...


@attrs.frozen
class Via:
    """The name `key` in the care of `module` (OTP's `{via, Module, Name}`)."""

    module: ViaModule
    key: Any

    def __repr__(self) -> str:
        return f"Via({getattr(self.module, '__name__', self.module)}, {self.key!r})"


Server: TypeAlias = Pid | str | RegisteredName | Via
"""Where a server can be called: its pid, its name here, `(name, node)`, or by way of a module."""

Name: TypeAlias = str | Via
"""What a server can be started as: a name on this node, or one that a module keeps."""


def locate(server: Server) -> Pid | RegisteredName | None:
    """Where to send what is for `server`; None for a `Via` that nobody has.

    Raises:
        TypeError: it is no address.
        ValueError: it is no name.
    """
    if isinstance(server, Pid):
        return server
    if isinstance(server, Via):
        return server.module.whereis_name(server.key)
    _, runtime = acting()
    return runtime.address(server)


def holder(name: Name) -> Pid | None:
    """Who has the name now, or None."""
    if isinstance(name, Via):
        return name.module.whereis_name(name.key)
    _, runtime = acting()
    process = runtime.names.holder(name)
    return None if process is None else process.pid
