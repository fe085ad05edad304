"""Plans for drivers, drawn by hypothesis: a plan is a list of batches, and all is quiet between two of them.

Hypothesis draws sketches, which speak of others by small numbers: "the fifth there is, counted round and round". So any
part of a sketch can be left out, and the rest still means something; that is how it finds the shortest plan that fails.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import chain, count
from typing import Any, Final, TypeAlias, TypeVar

from hypothesis import strategies as st

from pydist.terms import KILL, NORMAL
from tests.model.orders import NAMED, NAMES, REFERRING, TARGETED, Action, Batch, Key, Order, Plan
from tests.model.stage import BOOM, CRASH

T = TypeVar("T")

Sketch: TypeAlias = tuple[str, int, int]
"""Of an action: the verb, whom it is about, and how it is done."""

_VERBS: Final = (
    *("link", "link", "monitor", "spawn", "trap", "exit") * 2,
    *("leave", "farewell", "unlink", "demonitor", "demonitor", "send", "send_name"),
    *("monitor_name", "register", "unregister", "whereis", "is_alive"),
    *("alias", "unalias", "send_alias", "send_alias"),
)
_FLAGS: Final = {
    "spawn": ("", "link", "monitor", "link monitor"),
    "leave": ("", "return", "", ""),
    "trap": ("on", "on", "on", "off"),
    "monitor": ("", "", "", "explicit_unalias", "demonitor", "reply_demonitor"),
    "demonitor": ("", "flush"),
    "alias": ("", "reply"),
}
_BEGINNINGS: Final = (None, None, "trap", "leave", "farewell", None)


class _Scribe:
    """Writes a plan from sketches: knows which numbers are given, and what there is to speak of."""

    def __init__(self) -> None:
        self.numbers = count()
        self.keys: list[Key] = []
        self.partners: defaultdict[Key, list[Key]] = defaultdict(lambda: [0])
        """With whom each has once linked."""
        self.monitors: defaultdict[Key, list[int]] = defaultdict(lambda: [-1])
        self.aliases: list[int] = [-1]

    def batch(self, newcomers: int, orders: list[tuple[int, list[Sketch]]]) -> Batch:
        born = tuple(next(self.numbers) for _ in range(newcomers if self.keys else 2 + newcomers))
        self.keys.extend(born)
        return Batch(born, tuple(self.order(*order) for order in orders))

    def order(self, driver: int, actions: list[Sketch]) -> Order:
        key = _pick(self.keys, -1 - driver)
        return Order(key, tuple(self.action(key, *sketch) for sketch in actions))

    def action(self, driver: Key, verb: str, target: int, manner: int) -> Action:
        number = next(self.numbers)
        fields: dict[str, Any] = {"flags": frozenset(_pick(_FLAGS.get(verb, ("",)), manner).split())}
        if verb in TARGETED:
            fields["target"] = _pick(self.partners[driver] if verb == "unlink" else self.keys, -1 - target)
        if verb in REFERRING:  # to one of the last
            made = self.monitors[driver] if verb == "demonitor" else self.aliases
            fields["target"] = _pick(made, -1 - target // 4)
        if verb in NAMED:
            fields["name"] = _pick(NAMES, manner)
        if verb == "exit":
            fields["reason"] = _pick((BOOM, NORMAL, KILL), manner)
        if verb == "leave":
            fields["reason"] = _pick((BOOM, NORMAL, KILL, CRASH), manner)
        if verb == "spawn":
            fields |= self.spawned(number, target, manner // len(_FLAGS[verb]))
        action = Action(verb, number, **fields)
        self.remember(driver, action)
        return action

    def spawned(self, number: int, target: int, manner: int) -> dict[str, Any]:
        begins = _pick(_BEGINNINGS, target)
        first = () if begins is None else (self.action(number, begins, target, manner),)
        return {"first": first, "name": _pick((None, *NAMES, None), manner)}

    def remember(self, driver: Key, action: Action) -> None:
        number, flags = action.number, action.flags
        if action.verb == "spawn":
            self.keys.append(number)
        if action.verb == "link" or (action.verb == "spawn" and "link" in flags):
            other = action.target if action.verb == "link" else number
            self.partners[driver].append(other)
            self.partners[other].append(driver)
        if action.verb.startswith("monitor") or "monitor" in flags:
            self.monitors[driver].append(number)
        if action.verb == "alias" or (action.verb == "monitor" and flags):
            self.aliases.append(number)


def _pick(choices: Sequence[T], number: int) -> T:
    return choices[number % len(choices)]


def _sketched(number: int) -> Sketch:
    """Three from one number, because to draw three takes longer."""
    rest, verb = divmod(number, len(_VERBS))
    return _VERBS[verb], rest // 16 % 12, rest % 16


_sketch: Final = st.integers(0, len(_VERBS) * 16 * 16 - 1).map(_sketched)
_which: Final = st.integers(0, 15).map(lambda number: number % 12)


def _some(elements: st.SearchStrategy[T], outer: int) -> st.SearchStrategy[list[T]]:
    """A list of lists is drawn and put together, because hypothesis draws no long ones otherwise."""
    lists = st.lists(st.lists(elements, min_size=1, max_size=10), min_size=1, max_size=outer)
    return lists.map(lambda several: list(chain.from_iterable(several)))


@st.composite
def plans(draw: st.DrawFn, *, orders: int, actions: int) -> Plan:
    """Plans of at most so many orders in a batch, and actions in an order."""
    order = st.tuples(_which, st.lists(_sketch, min_size=1, max_size=actions))
    batch = st.tuples(st.sampled_from((0, 0, 1)), st.lists(order, min_size=1, max_size=orders))
    scribe = _Scribe()
    return Plan(scribe.batch(*each) for each in draw(_some(batch, 6)))


@st.composite
def crowds(draw: st.DrawFn) -> Plan:
    """Plans for hundreds: in each batch many do the same, each to the one that stands so far from it."""
    wave = st.tuples(_sketch, st.integers(0, 300), st.integers(1, 5), st.integers(1, 60))
    scribe = _Scribe()
    plan = Plan([scribe.batch(draw(st.integers(0, 300)), [])])
    for (verb, distance, manner), first, stride, many in draw(_some(wave, 5)):
        drivers = range(first, first + many * stride, stride)
        plan.append(scribe.batch(0, [(driver, [(verb, driver + distance, manner)]) for driver in drivers]))
    return plan
