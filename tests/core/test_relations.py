from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from pydist.core.relations import Relations
from pydist.terms import Pid

A = Pid("a@h", 1, 1)
B = Pid("b@h", 2, 1)

Signal = tuple[str, int]


class Ends:
    """The two ends of a link, A's and B's, and what is under way to each: two queues that keep their order."""

    def __init__(self) -> None:
        self.pids = (A, B)
        self.ends = (Relations(), Relations())
        self.under_way: tuple[deque[Signal], deque[Signal]] = (deque(), deque())

    def do(self, action: str, side: int) -> None:
        end, partner, to_partner = self.ends[side], self.pids[1 - side], self.under_way[1 - side]
        if action == "link":
            if end.link(partner):
                to_partner.append(("link", 0))
        elif action == "unlink":
            unlink_id = end.unlink(partner)
            if unlink_id is not None:
                to_partner.append(("unlink", unlink_id))
        elif self.under_way[side]:
            self._receive(side, *self.under_way[side].popleft())

    def _receive(self, side: int, kind: str, unlink_id: int) -> None:
        end, partner = self.ends[side], self.pids[1 - side]
        if kind == "link":
            end.link_received(partner)
        elif kind == "unlink":
            end.unlink_received(partner)
            self.under_way[1 - side].append(("acknowledged", unlink_id))
        else:
            end.unlink_acknowledged(partner, unlink_id)

    def settle(self) -> None:
        while any(self.under_way):
            self.do("deliver", 0)
            self.do("deliver", 1)

    @property
    def links(self) -> tuple[dict[Pid, int], dict[Pid, int]]:
        return self.ends[0].links, self.ends[1].links


LINKED = ({B: 0}, {A: 0})
UNLINKED: tuple[dict[Pid, int], dict[Pid, int]] = ({}, {})

histories = st.lists(st.tuples(st.sampled_from(["link", "unlink", "deliver"]), st.integers(0, 1)), max_size=40)


@given(histories)
def test_whatever_the_ends_do_at_the_same_time_they_agree_when_all_is_quiet(history: list[tuple[str, int]]) -> None:
    ends = Ends()
    for action, side in history:
        ends.do(action, side)
    ends.settle()
    assert ends.links in (LINKED, UNLINKED)


@given(histories, st.sampled_from(["link", "unlink"]), st.integers(0, 1))
def test_whatever_was_before_the_last_word_counts_when_nobody_contradicts(
    history: list[tuple[str, int]], action: str, side: int
) -> None:
    ends = Ends()
    for earlier, who in history:
        ends.do(earlier, who)
    ends.settle()
    ends.do(action, side)
    ends.settle()
    assert ends.links == (LINKED if action == "link" else UNLINKED)


@given(histories, st.integers(0, 1))
def test_after_unlink_no_exit_signal_counts_whatever_is_under_way(history: list[tuple[str, int]], side: int) -> None:
    ends = Ends()
    for action, who in history:
        ends.do(action, who)
    ends.do("unlink", side)
    while ends.under_way[side]:
        ends.do("deliver", side)
        if ends.ends[side].links.get(ends.pids[1 - side]) == 0:
            return  # the partner has linked anew, after our unlink reached it
    assert ends.ends[side].link_broken(ends.pids[1 - side]) is False


def test_there_is_one_link_however_often_it_is_asked_for() -> None:
    end = Relations()
    assert [end.link(B), end.link(B)] == [True, False]
    assert end.active_links() == [B]
    assert [end.unlink(B), end.unlink(B)] == [1, None]
    assert end.active_links() == []


def test_a_link_that_arrives_while_our_unlink_is_under_way_is_ignored() -> None:
    end = Relations()
    end.link(B)
    unlink_id = end.unlink(B)
    end.link_received(B)
    assert (end.links, end.active_links()) == ({B: unlink_id}, [])


def test_an_unlink_leaves_an_inactive_link_which_only_the_acknowledgement_ends() -> None:
    end = Relations()
    end.link(B)
    unlink_id = end.unlink(B)
    assert unlink_id is not None
    end.unlink_received(B)
    assert end.links == {B: unlink_id}
    end.unlink_acknowledged(B, unlink_id)
    assert end.links == {}


def test_an_acknowledgement_counts_for_its_own_unlink_only() -> None:
    end = Relations()
    end.link(B)
    first = end.unlink(B)
    assert first is not None
    assert end.link(B) is True
    end.unlink_acknowledged(B, first)
    assert end.links == {B: 0}
    second = end.unlink(B)
    assert second is not None
    end.unlink_acknowledged(B, first)
    assert end.links == {B: second}
    end.unlink_acknowledged(B, second)
    assert end.links == {}


def test_a_forged_acknowledgement_of_no_unlink_breaks_nothing() -> None:
    end = Relations()
    end.link(B)
    end.unlink_acknowledged(B, 0)
    assert end.links == {B: 0}


def test_a_link_breaks_once_and_only_if_it_is_active() -> None:
    end = Relations()
    assert end.link_broken(B) is False
    end.link_received(B)
    assert [end.link_broken(B), end.link_broken(B)] == [True, False]
    end.link(B)
    end.unlink(B)
    assert end.link_broken(B) is False
    assert end.links == {}


def test_active_links_come_oldest_first() -> None:
    end = Relations()
    partners = [Pid("b@h", number, 1) for number in (3, 1, 2)]
    for partner in partners:
        end.link(partner)
    end.unlink(partners[1])
    assert end.active_links() == [partners[0], partners[2]]
