"""What a process can do with nodes: connect, disconnect, list them, and hear of those that come and go.

Every function here acts for the process that calls it, and raises `NotInProcess` elsewhere. (OTP: `net_kernel.erl`,
`erlang:nodes/1`, `erlang:monitor_node/2`, `erlang:disconnect_node/1`.)
"""

from __future__ import annotations

from typing import get_args

from pydist.core.node_monitors import NodeTypes, Wish
from pydist.messaging import acting
from pydist.neighbours import NodeInfo, NodeKind
from pydist.primitives import check_flag


def nodes(kind: NodeKind = "visible") -> list[str]:
    """The names of other nodes (Erlang's `nodes/0` and `nodes/1`).

    Args:
        kind: "visible": those that are connected with this one and are not hidden; "hidden": those that are;
            "connected": both; "this": this node; "known": this one, those that are connected or being dialled, and
            those that were connected or dialled before, as far back as a node remembers (the last 1,000 of each).

    Raises:
        ValueError: no such kind.
    """
    _, runtime = acting()
    if kind not in get_args(NodeKind):
        raise ValueError(f"the kind of nodes is one of {', '.join(get_args(NodeKind))}, not {kind!r}")
    return runtime.neighbours.nodes(kind)


def node_info(node: str) -> NodeInfo | None:
    """How the connection with a node stands; None if there is none (OTP: `net_kernel:node_info/1`).

    Raises:
        BadNodeName: not of the form name@host.
    """
    _, runtime = acting()
    return runtime.neighbours.node_info(node)


def connect(node: str) -> None:
    """Begin to connect to a node; sending to it does the same. `NodeUp` tells when it is done, `connect_node` waits.

    A node that could not be reached before is dialled at once, whatever `auto_connect` says.

    Raises:
        BadNodeName: not of the form name@host.
    """
    _, runtime = acting()
    runtime.neighbours.connect(node)


async def connect_node(node: str) -> bool:
    """Connect to a node, and wait until that is done (OTP: `net_kernel:connect_node/1`).

    It takes 7 seconds at most. A node that could not be reached before is dialled at once, whatever `auto_connect`
    says.

    Returns:
        True if it is connected, and for this node itself; False if no connection could be made.

    Raises:
        BadNodeName: not of the form name@host.
    """
    _, runtime = acting()
    return await runtime.neighbours.reach(node)


def disconnect(node: str) -> bool:
    """End the connection with a node, or the attempt to make one (Erlang's `disconnect_node/1`).

    Links and monitors across it end with `NOCONNECTION`; what was sent before is still written, if the other side takes
    it soon. The next signal to that node connects again, unless `auto_connect` forbids it.

    Returns:
        True if there was a connection or an attempt.

    Raises:
        BadNodeName: not of the form name@host.
    """
    _, runtime = acting()
    return runtime.neighbours.disconnect(node)


def monitor_nodes(flag: bool, *, node_type: NodeTypes = "visible", suspects: bool = False) -> None:
    """From now on, get a `NodeUp` or `NodeDown` for each connection that comes or goes, or no longer
    (`net_kernel:monitor_nodes/2`).

    A `NodeUp` comes before all signals of that connection, a `NodeDown` behind them, and behind what links and monitors
    across it bring. Calls are counted: who asks twice is told twice, until it has taken back both, with the same
    arguments. It ends with the process.

    Args:
        flag: True to be told, False to take it back; taking back what was not asked for does nothing.
        node_type: of which nodes: "visible", "hidden", or "all".
        suspects: also get a `NodeSuspect` when nothing was heard of such a node for `suspect_after` seconds (see
            `Node`), and a `NodeRecovered` when it is heard again.

    Raises:
        TypeError, ValueError: no such flag or type.
    """
    check_flag("monitor_nodes", flag)
    process, runtime = acting()
    runtime.neighbours.monitor_nodes(process, Wish(node_type, suspects), wanted=flag)


def monitor_node(node: str, flag: bool) -> None:
    """Get one `NodeDown` when the connection with a node is lost, or can't be made (Erlang's `monitor_node/2`).

    Connects if there is no connection. Calls are counted: each brings its own `NodeDown`, and False takes one back. For
    this node itself nothing ever comes.

    Raises:
        BadNodeName: not of the form name@host.
        TypeError: the flag is neither True nor False.
    """
    check_flag("monitor_node", flag)
    process, runtime = acting()
    runtime.neighbours.monitor_node(process, node, wanted=flag)
