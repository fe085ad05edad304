from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pydist.core.groups import Joined, Left
from pydist.core.scopes import Change, Scopes
from pydist.terms import Pid, Ref

A, B, C = (Pid("a@h", number, 1) for number in (1, 2, 3))
WATCHER = Pid("a@h", 9, 1)
SCOPE = Pid("a@h", 10, 1)
GROUPS = ["red", ("blue", 1)]


def ref(number: int) -> Ref:
    return Ref("a@h", number, 1)


actions = st.lists(
    st.tuples(
        st.sampled_from(["join", "join", "leave", "leave", "end", "watch", "watch_all", "unwatch"]),
        st.sampled_from(GROUPS),
        st.lists(st.sampled_from([A, B, C]), max_size=4),
    ),
    max_size=30,
)


class Model:
    """Groups as multisets, and what those who monitor are to be told of a change."""

    def __init__(self) -> None:
        self.groups: dict[Any, Counter[Pid]] = {group: Counter() for group in GROUPS}
        self.watched: dict[Ref, Any] = {}
        self.told: list[tuple[Ref, str, Any, Counter[Pid]]] = []

    def change(self, kind: str, group: Any, pids: Counter[Pid]) -> None:
        if kind == "Joined":
            self.groups[group] += pids
        else:
            self.groups[group] -= pids
        if pids:
            self.told += [(ref, kind, group, pids) for ref, what in self.watched.items() if what in {"all", group}]

    def members(self) -> set[Pid]:
        return {pid for members in self.groups.values() for pid in members}


def told(change: Change) -> list[tuple[Ref, str, Any, Counter[Pid]]]:
    return [(event.ref, type(event).__name__, event.group, Counter(event.pids)) for _, event in change.events]


@given(actions)
def test_groups_are_multisets_and_monitors_hear_of_each_change_and_of_no_more(
    history: list[tuple[str, Any, list[Pid]]],
) -> None:
    groups, model = Scopes(SCOPE), Model()
    watched: set[Pid] = set()
    for number, (action, group, pids) in enumerate(history):
        change = (
            _watch(groups, model, ref(number), action, group)
            if "watch" in action
            else _change(groups, model, action, group, pids)
        )
        assert sorted(told(change), key=repr) == sorted(model.told, key=repr)
        model.told.clear()
        assert (watched.isdisjoint(change.watch), watched.issuperset(change.unwatch)) == (True, True)
        watched |= set(change.watch)
        watched -= set(change.unwatch)
        if action == "end":
            watched -= set(pids[:1] or [C])
        assert watched == model.members()
        assert {each: Counter(groups.groups.members(each)) for each in GROUPS} == model.groups
        assert {each: Counter(members) for each, members in groups.groups.all().items()} == {
            each: members for each, members in model.groups.items() if members
        }
        assert groups.groups.groups() == list(groups.groups.all())


def _change(groups: Scopes, model: Model, action: str, group: Any, pids: list[Pid]) -> Change:
    if action == "join":
        model.change("Joined", group, Counter(pids))
        return groups.join(group, pids)
    if action == "leave":
        leaving = Counter(pids) & model.groups[group]
        model.change("Left", group, leaving)
        change = groups.leave(group, pids)
        assert (change is None) == (not leaving)
        return change or Change()
    pid = pids[0] if pids else C
    for each in GROUPS:
        model.change("Left", each, Counter({pid: model.groups[each][pid]}) & model.groups[each])
    return groups.ended(pid)


def _watch(groups: Scopes, model: Model, new: Ref, action: str, group: Any) -> Change:
    if action == "unwatch":
        old = next(iter(model.watched), new)
        assert groups.groups.unwatch(old) == (model.watched.pop(old, None) is not None)
    else:
        model.watched[new] = "all" if action == "watch_all" else group
        groups.groups.watch(new, WATCHER, *([] if action == "watch_all" else [group]))
    return Change()


def test_members_are_listed_as_often_as_they_have_joined() -> None:
    groups = Scopes(SCOPE)
    groups.join("red", [A, B, A])
    assert (groups.groups.members("red"), groups.groups.members("blue"), groups.groups.all()) == (
        [A, A, B],
        [],
        {"red": [A, A, B]},
    )


def test_a_change_says_whom_to_watch_and_whom_no_more() -> None:
    groups = Scopes(SCOPE)
    assert groups.join("red", [A, B, A]) == Change(watch=(A, B))
    assert groups.join("blue", [A, C]) == Change(watch=(C,))
    assert groups.leave("red", [A]) == Change()
    assert groups.leave("red", [A, B, C]) == Change(unwatch=(B,))
    assert groups.leave("red", [A]) is None
    assert groups.leave("blue", [A]) == Change(unwatch=(A,))


def test_only_those_who_were_members_are_told_of_as_having_left() -> None:
    groups = Scopes(SCOPE)
    groups.join("red", [A, B])
    groups.groups.watch(ref(1), WATCHER, "red")
    change = groups.leave("red", [A, A, C])
    assert change == Change(events=((WATCHER, Left(ref(1), "red", [A])),), unwatch=(A,))


def test_those_who_monitor_all_are_told_before_those_who_monitor_the_group() -> None:
    groups = Scopes(SCOPE)
    groups.groups.watch(ref(1), A, "red")
    groups.groups.watch(ref(2), B)
    groups.groups.watch(ref(3), C, "blue")
    assert groups.join("red", [A]).events == ((B, Joined(ref(2), "red", [A])), (A, Joined(ref(1), "red", [A])))


def test_one_that_ends_leaves_each_group_as_often_as_it_had_joined() -> None:
    groups = Scopes(SCOPE)
    groups.groups.watch(ref(1), WATCHER)
    groups.join("red", [A, A, B])
    groups.join("blue", [A])
    assert groups.ended(A).events == (
        (WATCHER, Left(ref(1), "red", [A, A])),
        (WATCHER, Left(ref(1), "blue", [A])),
    )
    assert (groups.groups.all(), groups.ended(A)) == ({"red": [B]}, Change())


def test_nobody_is_no_change() -> None:
    groups = Scopes(SCOPE)
    groups.groups.watch(ref(1), WATCHER)
    assert (groups.join("red", []), groups.leave("red", []), groups.groups.all()) == (Change(), None, {})
