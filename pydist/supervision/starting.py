"""How a supervisor starts a child: whatever the start does, the outcome is a value.

A child whose start never returns keeps its supervisor waiting for ever, as in OTP: the supervisor serves nobody, and
can't be stopped, since to start the next one, or to stop this one half-way, would break the order it stands for. OTP
waits in silence; here the log says who is waited for, after 5 seconds and then each time that has doubled. To a server
that may hang a time to start is given: `child(Server, start_timeout=30.0)`.
"""

from __future__ import annotations

from asyncio import CancelledError
from typing import Any

from pydist.errors import Exit, StartError
from pydist.messaging import acting
from pydist.own_log import log
from pydist.process import crash_of
from pydist.reminder import Reminder
from pydist.supervision.children import ChildSpec, Failed
from pydist.terms import Pid, is_pid


async def start(spec: ChildSpec, first: tuple[Any, ...] = ()) -> Pid | Failed | None:
    """Start a child, linked to the caller; its pid, None if it ignored that, or why it did not start.

    Args:
        spec: describes it.
        first: what it is started with, before its own arguments.
    """
    process, runtime = acting()

    def say(seconds: float) -> None:
        log.warning("child_still_starting", supervisor=process.pid, child=spec.id, seconds=seconds)

    reminder = Reminder(runtime.loop, say)
    try:
        return _started(await spec.start(*first))
    except StartError as error:
        return Failed(spec.id, error.reason, start=True)
    except CancelledError as error:
        if process.dying or process.cancelling():
            raise  # it is the supervisor that is to end
        return Failed(spec.id, error.reason if isinstance(error, Exit) else crash_of(error), start=True)
    except Exception as error:  # noqa: BLE001  # whatever the start raises, the child did not start
        return Failed(spec.id, crash_of(error), start=True)
    finally:
        reminder.cancel()


def _started(result: object) -> Pid | None:
    if result is None or is_pid(result):
        return result
    raise TypeError(f"start_link returns the pid of the child, or None if there is none; this one returned {result!r}")


async def never_again(*_first: Any) -> None:
    """Stands for the start of a temporary child that has been started: what it was started with is not kept."""
