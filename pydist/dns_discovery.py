"""Nodes that a name in DNS stands for. It needs dnspython: pip install 'pydist[dns]' (docs/adr/0012)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias, get_args

from pydist.core.discovery import INTERVAL, Found
from pydist.errors import NodeStartError, Unreachable
from pydist.terms import NodeName

Records: TypeAlias = Literal["A", "AAAA", "SRV"]

ANSWER_TIME: Final = 5.0
"""Seconds that DNS has for an answer, all servers and tries together."""


class DnsDiscovery:
    """The addresses of a name (A, AAAA), or the hosts and ports that it stands for (SRV).

    Each is taken to run one node, `first@address` or `first@host`. A name that does not exist, or has no such record,
    stands for no nodes.

    Args:
        name: "sfu.internal"; for SRV "_pydist._tcp.sfu.internal".
        first: the part of the nodes' names before the @.
        records: "A", "AAAA" or "SRV". The port of an SRV record counts where nodes have no port mapper (`peer_ports`),
            and where that does not fix the node's port by its name.
        servers: addresses of the DNS servers to ask; those of the system (/etc/resolv.conf) by default.
        server_port: where they listen.
        interval: seconds from one look to the next.
        timeout: seconds that DNS has for an answer.

    Raises:
        NodeStartError: dnspython is not installed, or there is no such kind of record.
        BadNodeName: `first` can't stand before the @.
    """

    def __init__(
        self,
        name: str,
        first: str,
        *,
        records: Records = "A",
        servers: Sequence[str] = (),
        server_port: int = 53,
        interval: float = INTERVAL,
        timeout: float = ANSWER_TIME,
    ) -> None:
        try:
            import dns.asyncresolver  # noqa: PLC0415  # it is an extra
        except ImportError:
            raise NodeStartError("DnsDiscovery needs dnspython: pip install 'pydist[dns]'") from None
        if records not in get_args(Records):
            raise NodeStartError(f"records is one of {', '.join(get_args(Records))}, not {records!r}")
        NodeName.parse(f"{first}@host")
        self.interval = interval
        self._name = name
        self._first = first
        self._records = records
        self._timeout = timeout
        self._resolver = dns.asyncresolver.Resolver(configure=not servers)
        if servers:
            self._resolver.nameservers = list(servers)
            self._resolver.port = server_port

    async def look(self) -> Sequence[Found]:
        """Ask DNS. Raises Unreachable."""
        import dns.exception  # noqa: PLC0415
        import dns.resolver  # noqa: PLC0415

        try:
            answer = await self._resolver.resolve(
                self._name, self._records, lifetime=self._timeout, raise_on_no_answer=False
            )
        except dns.resolver.NXDOMAIN:
            return []
        except dns.exception.DNSException as error:
            raise Unreachable(f"DNS does not tell what {self._name} ({self._records}) stands for: {error}") from error
        if self._records == "SRV":
            return [self._found(str(item.target).rstrip("."), item.port) for item in answer if str(item.target) != "."]
        return [self._found(str(item.address), None) for item in answer]

    def _found(self, host: str, port: int | None) -> Found:
        return Found(f"{self._first}@{host}", port or None)
