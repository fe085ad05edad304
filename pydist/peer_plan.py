"""What is asked for when a child node is started, checked, and made into its setup and its command."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias, TypedDict

import attrs

from pydist.aliases import make_ref
from pydist.application import Application
from pydist.core.child_command import local_command, ssh_command
from pydist.core.child_setup import ChildSetup
from pydist.errors import NodeStartError
from pydist.message import module_name
from pydist.messaging import acting
from pydist.primitives import node_name
from pydist.terms import NodeName

PeerDown: TypeAlias = Literal["stop", "continue", "crash"]
PEER_DOWN: Final = ("stop", "continue", "crash")
BOOT_TIME: Final = 15.0
"""Seconds that a child node has to come up (OTP's `wait_boot`)."""
GRACE: Final = 4.0
"""Seconds that it has to stop in order: less than what a supervisor gives its children."""


class PeerOptions(TypedDict, total=False):
    """What can be given to `PeerNode.start_link`, which says what each of them means."""

    host: str | None
    run: Callable[..., Any] | str | None
    args: Sequence[Any]
    applications: Sequence[type[Application] | str]
    modules: Sequence[str]
    options: Mapping[str, Any]
    cookie: str | None
    python: str | Sequence[str] | None
    python_args: Sequence[str]
    cwd: str | os.PathLike[str] | None
    env: Mapping[str, str] | None
    cpus: Sequence[int] | None
    ssh: str | Sequence[str] | None
    timeout: float
    grace: float
    peer_down: PeerDown


@attrs.frozen(kw_only=True)
class PeerPlan:
    """How to start one child node."""

    setup: ChildSetup
    first_line: bytes = attrs.field(repr=False)
    command: Sequence[str]
    cwd: str | None
    env: Mapping[str, str] | None = attrs.field(repr=False)
    timeout: float
    peer_down: PeerDown


def make_plan(
    node: str | None = None,
    *,
    host: str | None = None,
    run: Callable[..., Any] | str | None = None,
    args: Sequence[Any] = (),
    applications: Sequence[type[Application] | str] = (),
    modules: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    cookie: str | None = None,
    python: str | Sequence[str] | None = None,
    python_args: Sequence[str] = (),
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    cpus: Sequence[int] | None = None,
    ssh: str | Sequence[str] | None = None,
    timeout: float = BOOT_TIME,
    grace: float = GRACE,
    peer_down: PeerDown = "stop",
) -> PeerPlan:
    """Check what was asked for; see `PeerNode.start_link`."""
    _check_times(timeout, grace)
    if peer_down not in PEER_DOWN:
        raise ValueError(f"peer_down is one of {', '.join(PEER_DOWN)}, not {peer_down!r}")
    if run is not None and applications:
        raise ValueError("a child node has a main function or applications, not both")
    name = _name(node, host, abroad=ssh is not None)
    setup = ChildSetup(
        token=str(make_ref().number),
        node=name,
        starter=node_name(),
        **_inherited(name, cookie, options or {}),
        run=None if run is None else reference(run),
        args=list(args),
        applications=[reference(each) for each in _listed("applications", applications)],
        modules=_listed("modules", modules),
        path=[] if ssh is not None else [os.path.abspath(entry) for entry in sys.path],  # noqa: PTH100  # "" is among them
        env={} if ssh is None else dict(env or {}),
        cpus=None if cpus is None else list(cpus),
        grace=grace,
    )
    where = None if cwd is None else os.fspath(cwd)
    return PeerPlan(
        setup=setup,
        first_line=_line(setup),
        command=_command(ssh, python, _listed("python_args", python_args), where, timeout),
        cwd=None if ssh is not None else where,
        env=None if ssh is not None or not env else {**os.environ, **env},
        timeout=timeout,
        peer_down=peer_down,
    )


def reference(found: Callable[..., Any] | str) -> str:
    """How the child finds a function or a class: module:name. Raises TypeError, ValueError."""
    if isinstance(found, str):
        module, colon, name = found.partition(":")
        if not (module and colon and name):
            raise ValueError(f"what a child node runs is named as 'module:name', not {found!r}")
        return found
    path: str = getattr(found, "__qualname__", "<nameless>")
    if "<" in path:
        raise TypeError(
            f"a child node imports what it runs, so that has to stand in a module by its name, and {found!r} does not"
        )
    return f"{module_name(found.__module__)}:{path}"


def _name(node: str | None, host: str | None, *, abroad: bool) -> str:
    wanted = f"peer-{make_ref().number}-{os.getpid()}" if node is None else node
    short, at, its_host = wanted.partition("@")
    if at and host is not None and host != its_host:
        raise NodeStartError(f"the child node {node} is to be at the host {host}: one of the two says enough")
    if not at and host is None and abroad:
        raise NodeStartError(f"a node started by ssh needs a host that it listens at: node='{short}@10.0.0.2', say")
    name = f"{short}@{its_host or host or NodeName.parse(node_name()).host}"
    NodeName.parse(name)
    if name == node_name():
        raise NodeStartError(f"{name} is the name of this node: the child needs one of its own")
    return name


def _inherited(name: str, cookie: str | None, options: Mapping[str, Any]) -> dict[str, Any]:
    _, runtime = acting()
    heritage = runtime.neighbours.heritage(name)
    for key in ("cookie", "cookies", "cookie_file", "name", "network", "env"):
        if key in options:
            raise ValueError(f"{key!r} is no option that a child node can be given: the cookie goes by `cookie=`")
    if cookie is None:
        if not heritage.cookies:
            raise NodeStartError(f"this node has no cookie for {name}: give it one by `cookie=`")
        try:
            cookie = heritage.cookies[0].decode()
        except UnicodeDecodeError:
            raise NodeStartError("the cookie is no text in UTF-8, and can't be told: give one by `cookie=`") from None
    if not cookie:
        raise NodeStartError("a cookie is a str, and not empty")
    return {"cookie": cookie, "options": {**heritage.options, **options}}


def _line(setup: ChildSetup) -> bytes:
    try:
        return setup.line()
    except (TypeError, ValueError) as error:
        raise TypeError(f"args and options of a child node are told as JSON, which can't be: {error}") from error


def _command(
    ssh: str | Sequence[str] | None,
    python: str | Sequence[str] | None,
    python_args: Sequence[str],
    cwd: str | None,
    timeout: float,
) -> list[str]:
    python = python or (sys.executable if ssh is None else "python3")
    interpreter = [python] if isinstance(python, str) else list(python)
    if ssh is None:
        return local_command(interpreter, python_args)
    where = [ssh] if isinstance(ssh, str) else list(ssh)
    return ssh_command(where, interpreter, python_args, cwd, timeout, python_here=sys.executable)


def _listed(what: str, values: Sequence[Any]) -> list[Any]:
    if isinstance(values, str):
        raise TypeError(f"{what} is a list: write [{values!r}]")
    return list(values)


def _check_times(timeout: object, grace: object) -> None:
    for what, value in (("timeout", timeout), ("grace", grace)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            raise ValueError(f"{what} is a number of seconds above 0, not {value!r}")
