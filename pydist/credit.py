"""Credit between nodes: a mailbox that blocks its senders holds those on other nodes, too.

Each connection has a ledger, with the counts of both directions (`core/credit.py`). As the receiver, a node grants a
peer that sends to such a process as many messages as its bound is: at first, and whenever half of them are used up and
the mailbox has room. As the sender, it counts down, and holds who sends without credit until there is some.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pydist.bounds import Bound
from pydist.core.credit import KNOWN, Address, Credit, Window
from pydist.gates import Gate
from pydist.process import Process
from pydist.terms import Pid
from pydist.wire.control import Grant, Unbounded

LARGEST: Final = 1 << 32
"""No more messages are granted at a time, whatever the bound."""


class Account:
    """What one peer may send to one address of a process that blocks its senders. Waits for room as a gate does."""

    __slots__ = ("_ledger", "_window", "address", "process")

    def __init__(self, ledger: Ledger, address: Address, process: Process) -> None:
        self._ledger = ledger
        self._window = Window()
        self.address: Final = address
        self.process: Final = process

    def received(self, count: int) -> None:
        """So many messages have come by it."""
        self._window.received(count)
        self._wait_for_room()
        if self.process.flow is not None:
            self.process.flow.look_for_room()

    def open(self) -> None:
        """There is room, or the process blocks nobody any more."""
        mailbox, size = self.process.mailbox, window_of(self.process)
        if size is not None:
            more = self._window.fill(size, mailbox.limit - len(mailbox))
            if more:
                self.grant(more)
        self._wait_for_room()

    def _wait_for_room(self) -> None:
        size = window_of(self.process)
        if size is None:
            self.end()
        elif self._window.is_low(size):
            self.process.flows().wait_for_room(self)

    def grant(self, more: int) -> None:
        """Tell the peer that it may send so many messages more."""
        self._ledger.send(Grant(self._source(), more))

    def end(self, _ended: object = None) -> None:
        """Tell the peer that nothing is counted any more."""
        self._ledger.send(Unbounded(self._source()))
        self._ledger.forget(self)

    def close(self) -> None:
        """The connection is lost, or nothing is counted any more."""
        self.process.remove_done_callback(self.end)
        if self.process.flow is not None:
            self.process.flow.waiting.pop(self, None)

    def _source(self) -> Pid | str:
        return self.address if isinstance(self.address, str) else self.process.pid


class Ledger:
    """Both directions of one connection. `send` takes a signal for the peer, if it knows of credit at all."""

    def __init__(self, send: Callable[[Grant | Unbounded], None], *, gives: bool) -> None:
        self.send: Final = send
        self._gives = gives
        self.credit: Final = Credit()
        self._gates: dict[Address, Gate] = {}
        self._accounts: dict[Address, Account] = {}

    # -- the sending end

    def spend(self, address: Address, sender: Process | None) -> None:
        """A message was sent by `sender`, or from outside any process."""
        if not self.credit.spend(address) or sender is None:
            return
        if sender.flow is None or not sender.flow.async_dist:
            self._gates.setdefault(address, Gate()).hold(sender.flows())

    def granted(self, address: Address, more: int) -> None:
        """The peer takes more messages."""
        if self.credit.grant(address, more):
            self._open(address)

    def unbounded(self, address: Address) -> None:
        """The peer takes as many messages as there are."""
        self.credit.end(address)
        self._open(address)

    def _open(self, address: Address) -> None:
        gate = self._gates.pop(address, None)
        if gate is not None:
            gate.open()

    # -- the receiving end

    def received(self, address: Address, process: Process, count: int) -> None:
        """Messages have come to a process whose mailbox is bounded."""
        account = self._accounts.get(address)
        if account is not None and account.process is not process:
            account.end()  # another has the name now
            account = None
        if account is None:
            self._begin(address, process)
        else:
            account.received(count)

    def _begin(self, address: Address, process: Process) -> None:
        if not self._gives or window_of(process) is None or len(self._accounts) >= KNOWN:
            return
        account = self._accounts[address] = Account(self, address, process)
        process.add_done_callback(account.end)
        if process.blocks():
            account.grant(0)
        account.received(0)

    def forget(self, account: Account) -> None:
        """It is over."""
        account.close()
        if self._accounts.get(account.address) is account:
            del self._accounts[account.address]

    # -- both

    def close(self) -> None:
        """The connection is lost."""
        for account in list(self._accounts.values()):
            self.forget(account)
        for address in list(self._gates):
            self._open(address)
        self.credit.left.clear()


def window_of(process: Process) -> int | None:
    """How many messages a peer may send to a process before it is granted more; None if that blocks nobody."""
    bound: Bound | None = process.bound
    if bound is None or bound.when_full != "block" or process.dying or process.over:
        return None
    return min(bound.limit, LARGEST)


def address_of(target: Pid | str) -> Address:
    """How a process of the other node is known in the ledger."""
    return target if isinstance(target, str) else target.number
