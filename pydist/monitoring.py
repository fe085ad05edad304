"""Messages about what is not as it should be on this node: long steps, long mailboxes, lag, dead letters, refusals.

    system_monitor(long_schedule=0.1, long_message_queue=(100, 10_000), scheduler_lag=0.1, dead_letters=True,
                   busy_dist=True, export_refused=True)
    while True:
        match await receive():
            case LongSchedule(pid, label, seconds, stack): ...
            case LongMessageQueue(pid, label, length, long): ...
            case SchedulerLag(seconds): ...
            case DeadLetter(target, message, reason): ...
            case BusyNode(pid, node): ...
            case ExportRefused(pid, export, why): ...

What it costs; nothing of it is paid by those who send and receive:

- `long_schedule`: a thread, see `watchdog.py`; a thousandth of a processor at a limit of half a second. The message
  comes after the step, for until then no process of the node runs. A step that never ends is only in the log, where
  the default of `pydist.run` puts it while it runs.
- `scheduler_lag`: a process that sleeps for half the limit, and looks how late it is woken; three thousandths of a
  processor at a limit of a tenth of a second.
- `long_message_queue`: that process looks at 10,000 mailboxes a second, all around, and four times a second at all that
  are long; half a microsecond for each. So of 10,000 processes none is overlooked for longer than a second, of a
  million none for two minutes.
- `dead_letters`, `busy_dist` and `export_refused`: nothing.
"""

from __future__ import annotations

from math import inf

from pydist.core.long_queues import LongQueues
from pydist.messaging import acting
from pydist.node_watch import node_watch_of


def system_monitor(
    *,
    long_schedule: float | None = None,
    long_message_queue: tuple[int, int] | None = None,
    scheduler_lag: float | None = None,
    dead_letters: bool = False,
    busy_dist: bool = False,
    export_refused: bool = False,
) -> None:
    """From now on, send the calling process messages about this node (Erlang's `erlang:system_monitor/2`).

    What this process has asked for before holds no longer; without arguments it gets no more, and with its end all
    ends. Unlike in Erlang before OTP 28, several processes may ask.

    Args:
        long_schedule: seconds that a step may take, from one await to the next: `LongSchedule`.
        long_message_queue: `(disable, enable)`: a `LongMessageQueue` comes when a mailbox holds `enable` messages, and
            another when it holds no more than `disable`.
        scheduler_lag: seconds that a ready process may have to wait for its turn: `SchedulerLag`.
        dead_letters: a `DeadLetter` for each message that nobody gets.
        busy_dist: a `BusyNode` for each process that is held, since too much waits for the node that it has sent to
            (Erlang's `busy_dist_port`).
        export_refused: an `ExportRefused` for each thing that a process of another node has asked for, and that this
            node does not export to it.

    Raises:
        ValueError: a limit that makes no sense.
    """
    process, runtime = acting()
    _check("long_schedule", long_schedule)
    _check("scheduler_lag", scheduler_lag)
    queues = None if long_message_queue is None else _queues(long_message_queue)
    node_watch_of(runtime).subscribe(
        process, long_schedule, queues, scheduler_lag, letters=dead_letters, busy=busy_dist, refusals=export_refused
    )


def dead_letters() -> dict[str, int]:
    """How many messages of this node nobody got since it started, by the reason that a `DeadLetter` has."""
    _, runtime = acting()
    return dict(runtime.dead_letters.counts)


def _check(name: str, limit: object) -> None:
    if limit is not None and not (isinstance(limit, int | float) and 0 < limit < inf):
        raise ValueError(f"{name} is a number of seconds above 0, not {limit!r}")


def _queues(limits: tuple[int, int]) -> LongQueues:
    match limits:
        case (int() as disable, int() as enable) if 0 <= disable < enable:
            return LongQueues(disable, enable)
        case _:
            raise ValueError(
                f"long_message_queue is (disable, enable), numbers of messages with 0 <= disable < enable, not {limits}"
            )
