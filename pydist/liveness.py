"""How a node tells that others live, and when it connects to them by itself: the settings of it, checked."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from pydist.core.redial import AutoConnect, Redial
from pydist.core.ticker import INTENSITY, NET_TICKTIME, check_ticks
from pydist.env import Env
from pydist.errors import NodeStartError
from pydist.terms import NodeName
from pydist.wire.handshake import OFFERED, Flag


def _names(nodes: Iterable[str]) -> tuple[str, ...]:
    if isinstance(nodes, str):
        raise NodeStartError(f"keep_connected is a list of node names, not the string {nodes!r}")
    return tuple(str(NodeName.parse(node)) for node in nodes)


@attrs.frozen(kw_only=True)
class Liveness:
    """As `Node` takes them. Raises NodeStartError for what makes no sense."""

    net_ticktime: float = NET_TICKTIME
    net_tickintensity: int = INTENSITY
    suspect_after: float | None = None
    auto_connect: AutoConnect = "always"
    prevent_overlapping_partitions: bool = True
    keep_connected: tuple[str, ...] = attrs.field(default=(), converter=_names)

    def __attrs_post_init__(self) -> None:
        """Check them."""
        try:
            check_ticks(self.net_ticktime, self.net_tickintensity, self.suspect_after)
            Redial(float, auto_connect=self.auto_connect)
        except ValueError as error:
            raise NodeStartError(str(error)) from error

    @property
    def flags(self) -> Flag:
        """What a node with these settings can do."""
        return OFFERED if self.prevent_overlapping_partitions else OFFERED & ~Flag.PARTITIONS

    def redial(self, me: str, env: Env) -> Redial:
        """The memory of the node `me` for nodes that it could not reach."""
        keep = [node for node in self.keep_connected if node != me]
        return Redial(lambda: _chance(env), auto_connect=self.auto_connect, keep=keep)


def _chance(env: Env) -> float:
    return int.from_bytes(env.entropy(4)) / (1 << 32)
