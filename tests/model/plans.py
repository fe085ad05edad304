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
from tests.model.orders import NAMED, NAMES, TARGETED, Action, Batch, Key, Order, Plan
from tests.model.stage import CRASH

T = TypeVar("T")

Sketch: TypeAlias = tuple[str, int, int]
"""Of an action: the verb, whom it is about, and how it is done."""

_VERBS: Final = (
    *("link", "link", "monitor", "spawn", "trap", "exit") * 2,
    *("leave", "farewell", "unlink", "demonitor", "send", "send_name"),
    *("monitor_name", "register", "unregister", "whereis", "is_alive"),
)
_REASONS: Final = ("boom", NORMAL, KILL)
_LEAVES: Final = (("boom", ""), (NORMAL, ""), (KILL, ""), (NORMAL, "return"), (CRASH, ""))
_SPAWNS: Final = ("", "link", "monitor", "link monitor")
_BEGINNINGS: Final = (None, None, "trap", "leave", "farewell", None)


class _Scribe:
    """Writes a plan from sketches: knows which numbers are given, and what there is to speak of."""

    def __init__(self) -> None:
        self.numbers = count()
        self.keys: list[Key] = []
        self.partners: defaultdict[Key, list[Key]] = defaultdict(lambda: [0])
        """With whom each has once linked."""
        self.refs: defaultdict[Key, list[int]] = defaultdict(lambda: [-1])

    def batch(self, newcomers: int, orders: list[tuple[int, list[Sketch]]]) -> Batch:
        born = tuple(next(self.numbers) for _ in range(newcomers if self.keys else 2 + newcomers))
        self.keys.extend(born)
        return Batch(born, tuple(self.order(*order) for order in orders))

    def order(self, driver: int, actions: list[Sketch]) -> Order:
        key = _pick(self.keys, -1 - driver)
        return Order(key, tuple(self.action(key, *sketch) for sketch in actions))

    def action(self, driver: Key, verb: str, target: int, manner: int) -> Action:
        number = next(self.numbers)
        fields: dict[str, Any] = {}
        if verb in TARGETED:
            fields["target"] = _pick(self.partners[driver] if verb == "unlink" else self.keys, -1 - target)
        if verb in NAMED:
            fields["name"] = _pick(NAMES, manner)
        if verb in {"monitor", "monitor_name"}:
            self.refs[driver].append(number)
        if verb == "link":
            self._linked(driver, fields["target"])
        return Action(verb, number, **fields, **self.details(driver, number, verb, target, manner))

    def details(self, driver: Key, number: int, verb: str, target: int, manner: int) -> dict[str, Any]:
        match verb:
            case "spawn":
                return self.spawn(driver, number, target, manner)
            case "exit":
                return {"reason": _pick(_REASONS, manner)}
            case "leave":
                reason, flag = _pick(_LEAVES, manner)
                return {"reason": reason, "flags": _flags(flag)}
            case "trap":
                return {"flags": _flags(_pick(("on", "on", "on", "off"), manner))}
            case "demonitor":
                return {"target": _pick(self.refs[driver], -1 - target), "flags": _flags(_pick(("", "flush"), manner))}
            case _:
                return {}

    def spawn(self, driver: Key, number: int, target: int, manner: int) -> dict[str, Any]:
        flags = _flags(_pick(_SPAWNS, manner))
        self.keys.append(number)
        if "monitor" in flags:
            self.refs[driver].append(number)
        if "link" in flags:
            self._linked(driver, number)
        begins = _pick(_BEGINNINGS, target)
        first = () if begins is None else (self.action(number, begins, target, manner // len(_SPAWNS)),)
        return {"flags": flags, "first": first, "name": _pick((None, *NAMES, None), manner // len(_SPAWNS))}

    def _linked(self, one: Key, other: Key) -> None:
        self.partners[one].append(other)
        self.partners[other].append(one)


def _pick(choices: Sequence[T], number: int) -> T:
    return choices[number % len(choices)]


def _flags(text: str) -> frozenset[str]:
    return frozenset(text.split())


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
