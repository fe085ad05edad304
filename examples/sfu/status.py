"""What a node shows of itself: plain data, for the page, for operators and for tests."""

from __future__ import annotations

import os
from typing import Any, Final

from examples.sfu.directory import Directories
from examples.sfu.media_server import View
from examples.sfu.names import CHANNELS, DIRECTORY, MEDIA, ROOT, SESSIONS, channel_name, session_name
from examples.sfu.settings import Settings
from pydist import KILL, Pid, call, exit, node_name, nodes, whereis, which_children  # noqa: A004  # OTP's name

_SUPERVISORS: Final = {ROOT, CHANNELS, SESSIONS}


async def describe_node(settings: Settings) -> dict[str, Any]:
    """Node, nodes, channels, sessions, media and supervisors. To be run in a process."""
    view = await call(MEDIA, View())
    infos, publications = await call(DIRECTORY, Directories())
    return {
        "node": settings.name,
        "os_pid": os.getpid(),
        "url": settings.url,
        "nodes": sorted(nodes()),
        "cluster": [{"node": info.name, "url": info.url} for info in sorted(infos, key=lambda info: info.name)],
        "channels": [
            {"channel": p.channel, "node": p.node, "process": _process(channel_name(p.channel))} for p in publications
        ],
        "sessions": [
            _session(member.session, member.role, member.channel, state) for member, state in view.members.items()
        ],
        "links": [{"channel": link.channel, "node": link.node, "direction": link.direction} for link in view.links],
        "media": {"received": view.received, "sent": view.sent, "dropped": view.dropped},
        "supervisor": await _tree(ROOT, whereis(ROOT)),
    }


async def describe_session(session: str) -> dict[str, Any] | None:
    """One session, None where there is none. To be run in a process."""
    view = await call(MEDIA, View())
    found = next(((member, state) for member, state in view.members.items() if member.session == session), None)
    if found is None:
        return None
    member, state = found
    return {"node": node_name(), **_session(session, member.role, member.channel, state)}


async def kill(name: str) -> bool:
    """Kill the process that has the name; False where nobody has it. To be run in a process."""
    pid = whereis(name)
    if pid is not None:
        exit(pid, KILL)
    return pid is not None


def _session(session: str, role: str, channel: str, state: str) -> dict[str, Any]:
    return {
        "session": session,
        "role": role,
        "channel": channel,
        "state": state,
        "process": _process(session_name(session)),
        "channel_process": _process(channel_name(channel)),
    }


def _process(name: str) -> str | None:
    pid = whereis(name)
    return None if pid is None else _text(pid)


def _text(pid: Pid) -> str:
    return f"<{pid.node}/{pid.number}>"


async def _tree(label: str, pid: Pid | None) -> dict[str, Any]:
    """A process, and what it supervises."""
    shown: dict[str, Any] = {"id": label, "process": None if pid is None else _text(pid)}
    if pid is not None and label in _SUPERVISORS:
        shown["children"] = [await _tree(info.id, info.pid) for info in await which_children(pid)]
    return shown
