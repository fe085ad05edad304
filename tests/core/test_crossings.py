from __future__ import annotations

from pydist.core.crossings import Crossings
from pydist.terms import Pid, Ref

HERE, THERE, ELSEWHERE = Pid("a@h", 1, 1), Pid("b@h", 1, 1), Pid("b@h", 2, 1)


def test_a_link_that_is_added_twice_is_one_and_the_oldest_comes_first() -> None:
    crossings = Crossings()
    crossings.add_link(HERE, THERE)
    crossings.add_link(HERE, ELSEWHERE)
    crossings.add_link(HERE, THERE)
    assert list(crossings.links) == [(HERE, THERE), (HERE, ELSEWHERE)]


def test_a_link_can_be_dropped_that_was_never_there() -> None:
    crossings = Crossings()
    crossings.add_link(HERE, THERE)
    crossings.drop_link(THERE, HERE)
    crossings.drop_link(HERE, ELSEWHERE)
    assert list(crossings.links) == [(HERE, THERE)]
    crossings.drop_link(HERE, THERE)
    assert crossings == Crossings()


def test_each_connection_has_its_own_tables() -> None:
    Crossings().add_link(HERE, THERE)
    assert Crossings() == Crossings()


def test_a_monitor_or_request_is_ended_for_the_process_that_has_it_alone() -> None:
    monitor, request = Ref("a@h", 1, 1), Ref("a@h", 2, 1)
    crossings = Crossings(monitors={monitor: HERE}, asking={request: HERE})
    assert not any(crossings.ends_monitor(ref, ELSEWHERE) for ref in (monitor, request))
    assert not any(crossings.ends_request(*wrong) for wrong in ((request, ELSEWHERE), (monitor, HERE)))
    assert [crossings.ends_monitor(ref, HERE) for ref in (monitor, request, request)] == [True, True, False]
    assert crossings == Crossings()
