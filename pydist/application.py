"""`Application`: a part of a service that starts and stops as a whole (OTP's `application`).

    class Shop(Application):
        name = "shop"
        applications = ("database",)
        env = {"port": 8080}

        async def start(self) -> Pid:
            return await Supervisor.start_link([child(Web, self.env["port"])], name="shop")

    run(serve_applications, [Database, Shop], {"shop": {"port": 9090}}, name="shop@127.0.0.1", cookie="...")

The contract:

- An application starts after all those it needs, and stops before them. `start` returns the pid of its top supervisor.
- It ends when its top supervisor does. What that means for the others, its restart type says: when a *permanent* one
  ends by itself, all others are stopped, and the node ends; with a *transient* one, only if its reason is not `NORMAL`;
  a *temporary* one is only reported. Nobody restarts it: what it can't mend within itself, the node can't mend either.
- It is stopped by `prep_stop`, the shutdown of its top supervisor, which takes as long as it needs, and `stop`.
- What a process of it spawns belongs to it, too. Whatever of that still lives when it ends is killed.

OTP's start phases, included and distributed applications, takeover and failover are not there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, ClassVar, Final, TypeAlias

import attrs

from pydist.errors import ApplicationError
from pydist.gen.behaviour import check_callbacks
from pydist.mailbox import MISSING
from pydist.primitives import published, self_pid
from pydist.terms import Pid

Env: TypeAlias = Mapping[str, Any]

CONTROLLER: Final = "application_controller"
"""The name of the process that starts and stops the applications of a node."""

current_application: Final[ContextVar[str]] = ContextVar("current_application")
"""To which application a process belongs: it comes to all that a process spawns, as OTP's group leader does."""


class Application:
    """Subclass it, and write the callbacks you need; see the head of this file."""

    name: ClassVar[str] = ""
    """Distinguishes it on its node."""
    description: ClassVar[str] = ""
    """What it is, for people."""
    version: ClassVar[str] = ""
    """Of the application, for people."""
    applications: ClassVar[Sequence[str]] = ()
    """The names of those that have to run before it starts."""
    env: Env = MappingProxyType({})
    """Its configuration. The class has the defaults; an instance has what is configured."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_callbacks(cls, ("start", "prep_stop", "stop"))
        if isinstance(cls.applications, str):
            raise TypeError(f"{cls.__qualname__}.applications is a list of names: write [{cls.applications!r}]")

    async def start(self) -> Pid | None:
        """Start the processes.

        Runs in the process that then stands over the application, and traps exits.

        Returns:
            The pid of the top supervisor, linked to the caller or not; None if there are no processes.

        Raises:
            Exception: it can't start.
        """
        return None

    async def prep_stop(self) -> None:
        """Something to do before the processes stop, or after the top supervisor has ended by itself."""

    async def stop(self) -> None:
        """Clean up after the processes have stopped. Not called when the start has failed."""


@attrs.frozen
class Loaded:
    """An application that the controller of a node knows; it publishes them by their names."""

    application: type[Application]
    env: Env


def loaded() -> Mapping[str, Loaded]:
    """The applications that this node knows; none if it has no controller."""
    return published(CONTROLLER) or {}


def get_application() -> str | None:
    """The name of the application that the calling process belongs to, or None (OTP's `get_application/0`)."""
    return current_application.get(None)


def get_env(key: str, default: Any = MISSING, *, application: str | None = None) -> Any:
    """A value of an application's configuration (OTP's `application:get_env/3`). It sends no message.

    Args:
        key: its name.
        default: what is returned if there is none.
        application: the name of an application of this node; that of the calling process by default.

    Raises:
        ApplicationError: there is no such value and no default, or no such application.
    """
    name = get_application() if application is None else application
    if name is None:
        raise ApplicationError(None, "not_loaded", f"{self_pid()} is of no application: say whose {key!r} is meant")
    known = loaded().get(name)
    if known is None:
        raise ApplicationError(name, "not_loaded")
    if key not in known.env and default is MISSING:
        raise ApplicationError(name, "undefined", f"the application {name!r} has no {key!r} in its env, and no default")
    return known.env.get(key, default)
