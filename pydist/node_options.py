"""The options of a node, for type checkers: `Node` says what each of them means."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TypedDict

from pydist.core.redial import AutoConnect
from pydist.discovery import Discovery
from pydist.env import Env
from pydist.exports import Exports
from pydist.node_ports import PeerPorts
from pydist.transport import Network
from pydist.underlay import Underlay


class NodeOptions(TypedDict, total=False):
    """What can be given to `Node`, and to `run`, by keyword."""

    cookie: str | None
    cookies: Mapping[str, str] | None
    cookie_file: str | os.PathLike[str] | None
    hidden: bool
    named_by: str | None
    epmd_port: int | None
    port: int
    peer_ports: PeerPorts | None
    net_ticktime: float
    net_tickintensity: int
    suspect_after: float | None
    auto_connect: AutoConnect
    keep_connected: Iterable[str]
    prevent_overlapping_partitions: bool
    global_names: bool
    allow_public: bool
    underlay: Underlay | None
    message_limit: int
    compress: bool
    long_schedule: float | None
    busy_wait: float | None
    busy_limit: int
    pending_limit: int
    exports: Exports
    spawn_limit: int
    discovery: Discovery | None
    network: Network | None
    env: Env | None
