"""Which cookies a node may use with which other node."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import attrs

from pydist.wire.handshake import COOKIE_LIMIT

_NONE: Final[Mapping[str, tuple[bytes, ...]]] = MappingProxyType({})


@attrs.frozen
class Cookies:
    """`shared` for all nodes but those that have their own in `by_node` (OTP: `erlang:set_cookie/1,2`).

    Where there are two, each is accepted, and a proof is made with each: so a cluster moves from one to the other. With
    none, there is no connection.
    """

    shared: tuple[bytes, ...] = attrs.field(repr=False)
    by_node: Mapping[str, tuple[bytes, ...]] = attrs.field(default=_NONE, repr=False)

    def __attrs_post_init__(self) -> None:
        for cookies in (self.shared, *self.by_node.values()):
            if not all(cookies):
                raise ValueError("a cookie is empty: anybody could connect")
            if len(cookies) > COOKIE_LIMIT:
                raise ValueError(f"a node has at most {COOKIE_LIMIT} cookies for another, not {len(cookies)}")

    def of(self, node: str) -> tuple[bytes, ...]:
        """Those for `node`; the first is preferred."""
        return self.by_node.get(node, self.shared)
