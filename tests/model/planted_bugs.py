"""Bugs that pydist could have had. Each function plants one, into rules that exist in Python alone."""

from __future__ import annotations

from typing import Any

import pytest

from pydist.core.names import Names
from pydist.core.relations import Relations, Target
from pydist.mailbox import MISSING
from pydist.process import Process
from pydist.runtime import Runtime
from pydist.terms import KILL, KILLED, NOPROC, NORMAL, Down, Exited, Pid, Reason, Ref


def _forgotten(*_: object) -> None:
    """What a bug leaves undone."""


# -- messages that the runtime makes


def a_down_comes_twice(patch: pytest.MonkeyPatch) -> None:
    receive_down = Process.receive_down

    def twice(self: Process, ref: Ref, target: Target, reason: Reason) -> None:
        expected = self.relations is not None and ref in self.relations.monitors
        receive_down(self, ref, target, reason)
        if expected:
            self.deliver(Down(ref, target, reason))

    patch.setattr(Process, "receive_down", twice)


def a_down_overtakes_messages(patch: pytest.MonkeyPatch) -> None:
    receive_down = Process.receive_down

    def first(self: Process, ref: Ref, target: Target, reason: Reason) -> None:
        waiting: list[Any] = []
        while (found := self.mailbox.flush(_any)) is not MISSING:
            waiting.append(found)
        receive_down(self, ref, target, reason)
        for message in waiting:
            self.deliver(message)

    patch.setattr(Process, "receive_down", first)


def _any(_message: object) -> bool:
    return True


# -- exit signals


def a_kill_can_be_trapped(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Process, "receive_exit_to", Process._exit_signal)


def kill_by_a_link_cannot_be_trapped(patch: pytest.MonkeyPatch) -> None:
    receive_exit = Process.receive_exit

    def received(self: Process, source: Pid, reason: Reason) -> None:
        if reason is KILL and self.related().link_broken(source):
            self.kill()
        else:
            receive_exit(self, source, reason)

    patch.setattr(Process, "receive_exit", received)


def the_killed_pass_on_kill(patch: pytest.MonkeyPatch) -> None:
    tell = Process._tell

    def told(self: Process, relations: Relations, reason: Reason) -> None:
        tell(self, relations, KILL if reason is KILLED else reason)

    patch.setattr(Process, "_tell", told)


def nobody_hears_of_a_normal_end(patch: pytest.MonkeyPatch) -> None:
    exit_signal = Process._exit_signal

    def unless_normal(self: Process, source: Pid, reason: Reason) -> None:
        if not self.trapping or reason is not NORMAL:
            exit_signal(self, source, reason)

    patch.setattr(Process, "_exit_signal", unless_normal)


def a_normal_end_ends_the_linked(patch: pytest.MonkeyPatch) -> None:
    def signalled(self: Process, source: Pid, reason: Reason) -> None:
        if self.trapping and not self.dying:
            self.deliver(Exited(source, reason))
        else:
            self.die(reason)

    patch.setattr(Process, "_exit_signal", signalled)


# -- links


def a_link_breaks_twice(patch: pytest.MonkeyPatch) -> None:
    def broken(self: Relations, partner: Pid) -> bool:
        return partner in self.links

    patch.setattr(Relations, "link_broken", broken)


def an_unlink_leaves_the_other_end(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Relations, "unlink_received", _forgotten)


def a_link_is_one_way(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Relations, "link_received", _forgotten)


def a_link_to_nobody_is_silent(patch: pytest.MonkeyPatch) -> None:
    receive_exit = Process.receive_exit

    def unless_nobody(self: Process, source: Pid, reason: Reason) -> None:
        if reason is NOPROC:
            self.related().link_broken(source)
        else:
            receive_exit(self, source, reason)

    patch.setattr(Process, "receive_exit", unless_nobody)


# -- monitors


def a_demonitor_leaves_the_watcher(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Runtime, "send_demonitor", _forgotten)


def a_dead_watcher_stays_in_the_tables(patch: pytest.MonkeyPatch) -> None:
    tell = Process._tell

    def told(self: Process, relations: Relations, reason: Reason) -> None:
        relations.monitors.clear()
        tell(self, relations, reason)

    patch.setattr(Process, "_tell", told)


def a_flush_takes_nothing(patch: pytest.MonkeyPatch) -> None:
    remove = Process.remove_monitor

    def removed(self: Process, ref: Ref) -> bool:
        remove(self, ref)
        return True

    patch.setattr(Process, "remove_monitor", removed)


def monitors_do_not_stack(patch: pytest.MonkeyPatch) -> None:
    send_down = Runtime.send_down

    def once(self: Runtime, source: Target, watcher: Pid, ref: Ref, reason: Reason) -> None:
        process = self.process(watcher)
        if process is not None and source in list(process.related().monitors.values())[1:]:
            process.related().monitors.pop(ref)
        else:
            send_down(self, source, watcher, ref, reason)

    patch.setattr(Runtime, "send_down", once)


# -- names


def a_name_is_free_too_late(patch: pytest.MonkeyPatch) -> None:
    forget = Runtime.forget

    def forgotten(self: Runtime, process: Process) -> None:
        name = self.names.name_of(process)
        forget(self, process)
        if name is not None:
            self.names.register(name, process)
            self.loop.call_later(0.5, self.names.release, process)

    patch.setattr(Runtime, "forget", forgotten)


def a_process_may_have_two_names(patch: pytest.MonkeyPatch) -> None:
    register: Any = Names[Process].register

    def registered(self: Names[Any], name: str, holder: Any) -> None:
        had = self._names.pop(holder, None)
        register(self, name, holder)
        if had is not None:
            self._names[holder] = had

    patch.setattr(Names, "register", registered)
