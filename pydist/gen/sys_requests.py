"""What can be asked of any behaviour by system messages: `sys_messages.py` asks, `sys_handling.py` answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from pydist.core.debugging import Hook, Statistics, SysEvent
from pydist.gen.calls import Caller
from pydist.message import UNSENT, Message, Request
from pydist.terms import Pid, Reason


class System(Message, tag="$system"):
    """A system message on its way."""

    caller: Caller
    request: Any
    local: bool = attrs.field(default=False, eq=False, repr=False, metadata={UNSENT: True})
    """It was sent on this node: what comes from another never is that, whatever it says."""


class Status(Message, tag="$sys_status"):
    """How a behaviour is; see `get_status`."""

    pid: Pid
    behaviour: str
    """"GenServer", "GenStatem" and so on."""
    label: str
    """Its class."""
    name: str | None
    """What it is registered as on its node."""
    parent: Pid | None
    """With whose end it ends, too."""
    suspended: bool
    message_queue_len: int
    state: Any
    """As its `format_status` shows it."""


class Failed(Message, tag="$sys_failed"):
    """The answer to what could not be done."""

    reason: Any


class GetState(Request[Any], tag="$sys_get_state"):
    pass


class ReplaceState(Request[Any], tag="$sys_replace_state"):
    function: Callable[[Any], Any]


class GetStatus(Request[Status], tag="$sys_get_status"):
    pass


class Suspend(Request[None], tag="$sys_suspend"):
    pass


class Resume(Request[None], tag="$sys_resume"):
    pass


class Terminate(Request[None], tag="$sys_terminate"):
    reason: Reason


class Trace(Request[None], tag="$sys_trace"):
    on: bool


class Keep(Request[None], tag="$sys_log"):
    limit: int | None
    """None for no longer."""


class Kept(Request[list[SysEvent]], tag="$sys_logged"):
    pass


class Count(Request[None], tag="$sys_count"):
    on: bool


class Counted(Request[Statistics | None], tag="$sys_counted"):
    pass


class Install(Request[None], tag="$sys_install"):
    key: Any
    hook: Hook
    state: Any


class Remove(Request[None], tag="$sys_remove"):
    key: Any


class NoDebug(Request[None], tag="$sys_no_debug"):
    pass
