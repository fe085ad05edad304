"""References that a process makes, and the addresses they can be: aliases (EEP 53, Erlang's `alias/1`).

Who asks and waits for one answer gives an alias as the address to answer to. Once it is deactivated, an answer that
comes too late is dropped before the mailbox; with a pid as the address it would stay there for ever. An alias that is
to end together with a monitor is made by `monitor(target, alias=...)`.
"""

from __future__ import annotations

from pydist.messaging import acting, current
from pydist.terms import Alias, Ref


def make_ref() -> Ref:
    """A reference that this node has never given before (Erlang's `make_ref/0`).

    A `receive` for it, made next, does not look at what stands in the mailbox already.
    """
    process, runtime = acting()
    ref = runtime.new_ref()
    process.mailbox.mark(ref)
    return ref


def alias(*, reply: bool = False, priority: bool = False) -> Alias:
    """Make an address of the calling process that can be deactivated (Erlang's `alias/1`).

    Messages to it, from this node or another, are dropped once it is deactivated: by `unalias`, by the end of
    the process, or as `reply` says. Those that are in the mailbox by then stay.

    Args:
        reply: let one message in: the first that comes deactivates the alias.
        priority: what is sent to it by `send(alias, message, priority=True)` goes before all ordinary messages, behind
            other urgent ones (OTP 28's priority messages, EEP 76). For the rare word that can't wait behind a thousand.
    """
    ref = make_ref()
    process = current()
    process.open_alias(ref, "reply" if reply else "explicit_unalias")
    if priority:
        process.hurry(ref)
    return Alias(process.pid, ref)


def unalias(alias: Alias) -> bool:
    """Deactivate an alias of the calling process, whichever way it was made (Erlang's `unalias/1`).

    A monitor that was made together with it stays.

    Returns:
        True if it was active; False if it was not, or is one of another process.
    """
    if type(alias) is not Alias:
        raise TypeError(f"unalias takes the Alias that alias() or monitor(..., alias=...) has returned, not {alias!r}")
    process = current()
    return alias.pid == process.pid and process.close_alias(alias.ref)
