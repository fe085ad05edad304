"""The engine against a model: slow, in one piece, and written from the rules alone (OTP's manual of `gen_statem`).

The model keeps events in plain lists and all timeouts in one list, in the order in which they were started.
"""

from __future__ import annotations

from typing import Any, Final

import attrs
from hypothesis import given
from hypothesis import strategies as st

from pydist.core.transition import (
    EVENT_TIMEOUT,
    KEEP,
    STATE_TIMEOUT,
    After,
    At,
    Enter,
    EventTimeout,
    Key,
    NamedTimeout,
    StateTimeout,
    Timeout,
    Transition,
    Update,
)
from tests.statem import Drive

KEYS: Final[list[Key]] = [STATE_TIMEOUT, EVENT_TIMEOUT, (NamedTimeout, "x"), (NamedTimeout, "y")]

Call = tuple[Any, str, Any]
"""A call of the handler: event, state, data."""


@attrs.define
class Running:
    key: Key
    when: float | None
    """None: its time is zero."""
    content: Any


class Model:
    def __init__(self, answers: list[Transition[str, int]], *, state_enter: bool) -> None:
        self.answers = answers
        self.state_enter = state_enter
        self.now = 100.0
        self.state = "a"
        self.data = 0
        self.waiting: list[Any] = []
        self.postponed: list[Any] = []
        self.timeouts: list[Running] = []
        self.calls: list[Call] = []
        self.replies: list[Any] = []
        self.ended = False
        self.transition(None, "a", 0, [Transition("a", 0)], enter=True)
        self.work()

    def call(self, event: Any, state: str, data: Any) -> Transition[str, int]:
        answer = answer_to(event, state, self.answers[len(self.calls)] if len(self.calls) < len(self.answers) else None)
        self.calls.append((event, state, data))
        if answer.stop is not None:
            self.ended = True
        self.replies += answer.replies
        return answer

    def work(self) -> None:
        while not self.ended:
            zero = [each for each in self.timeouts if each.when is None]
            if self.waiting:
                self.handle(self.waiting.pop(0))
            elif zero:
                self.timeouts.remove(zero[0])
                self.handle(event_of(zero[0]))
            else:
                return

    def handle(self, event: Any) -> None:
        answer = self.call(event, self.state, self.data)
        state = self.state if answer.state is KEEP else answer.state
        data = self.data if answer.data is KEEP else answer.data
        self.transition(event, state, data, [answer], enter=state != self.state or answer.repeat)

    def transition(
        self, event: Any, state: str, data: Any, answers: list[Transition[str, int]], *, enter: bool
    ) -> None:
        while enter and self.state_enter and not self.ended:
            answer = self.call(Enter(self.state), state, data)
            answers.append(answer)
            data = data if answer.data is KEEP else answer.data
            enter = answer.repeat
        if self.ended:
            return
        wishes = [answer.postpone for answer in answers if answer.postpone is not None]
        if wishes and wishes[-1]:
            self.postponed.append(event)
        self.timeouts = [each for each in self.timeouts if each.key != EVENT_TIMEOUT]
        if state != self.state:
            self.timeouts = [each for each in self.timeouts if each.key != STATE_TIMEOUT]
            self.waiting = self.postponed + self.waiting
            self.postponed = []
        actions = [action for answer in answers for action in answer.timeouts]
        for index, (key, timeout) in enumerate(actions):
            if key not in [later for later, _ in actions[index + 1 :]]:
                self.start(key, timeout)
        self.waiting = [event for answer in answers for event in answer.next_events] + self.waiting
        self.state, self.data = state, data

    def start(self, key: Key, timeout: Timeout) -> None:
        old = [each for each in self.timeouts if each.key == key]
        if isinstance(timeout, Update) and old:
            old[0].content = timeout.content
            return
        self.timeouts = [each for each in self.timeouts if each.key != key]
        if isinstance(timeout, At):
            self.timeouts.append(Running(key, timeout.when, timeout.content))
        elif isinstance(timeout, After) and timeout.seconds > 0:
            self.timeouts.append(Running(key, self.now + timeout.seconds, timeout.content))
        elif timeout is not None:
            self.timeouts.append(Running(key, None, timeout.content))

    def hear(self, event: Any) -> None:
        self.waiting.append(event)
        self.work()

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while not self.ended:
            over = [(each.when, index) for index, each in enumerate(self.timeouts) if each.when is not None]
            if not over or min(over)[0] > end:
                break
            when, index = min(over)
            self.now = max(self.now, when)
            self.handle(event_of(self.timeouts.pop(index)))
            self.work()
        self.now = end


def event_of(timeout: Running) -> Any:
    if timeout.key == STATE_TIMEOUT:
        return StateTimeout(timeout.content)
    if timeout.key == EVENT_TIMEOUT:
        return EventTimeout(timeout.content)
    return NamedTimeout(timeout.key[1], timeout.content)


def answer_to(event: Any, state: str, answer: Transition[str, int] | None) -> Transition[str, int]:
    """The answer without what is not allowed for this event."""
    if answer is None:
        return Transition()
    if not isinstance(event, Enter):
        return answer
    return answer._replace(state=KEEP, postpone=False if answer.postpone else None, next_events=())


def answers() -> st.SearchStrategy[Transition[str, int]]:
    times = st.one_of(
        st.none(),
        st.builds(After, st.sampled_from([0.0, 1.0, 2.0]), st.integers(0, 9)),
        st.builds(At, st.sampled_from([99.0, 101.0, 103.0]), st.integers(0, 9)),
        st.builds(Update, st.integers(0, 9)),
    )
    return st.builds(
        Transition,
        state=st.sampled_from(["a", "b", KEEP, KEEP]),
        data=st.one_of(st.just(KEEP), st.integers(0, 9)),
        repeat=st.sampled_from([False, False, True]),
        stop=st.sampled_from([None] * 30 + [("done",)]),
        replies=st.sampled_from([(), (("caller", 1),), (("caller", 2), ("other", 3))]),
        postpone=st.sampled_from([None, False, True, True]),
        next_events=st.lists(st.sampled_from(["x", "y", "z"]), max_size=2).map(tuple),
        timeouts=st.lists(st.tuples(st.sampled_from(KEYS), times), max_size=4).map(tuple),
    )


Step = tuple[str, Any]

steps: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.just("hear"), st.integers(0, 99)),
    st.tuples(st.just("wait"), st.sampled_from([0.5, 1.0, 1.5, 2.0])),
)


@given(st.lists(answers(), min_size=5, max_size=40), st.lists(steps, min_size=4, max_size=20), st.booleans())
def test_whatever_happens_and_is_answered_the_engine_makes_the_calls_of_the_model(
    scripted: list[Transition[str, int]], history: list[Step], state_enter: bool
) -> None:
    model = Model(scripted, state_enter=state_enter)
    calls: list[Call] = []

    def handler(event: Any, state: Any, data: Any) -> Any:
        answer = answer_to(event, state, scripted[len(calls)] if len(calls) < len(scripted) else None)
        calls.append((event, state, data))
        return answer

    drive = Drive(handler, state_enter=state_enter)
    for kind, what in history:
        if model.ended:
            break
        if kind == "hear":
            model.hear(what)
            drive.hear(what)
        else:
            model.wait(what)
            drive.wait(what)
    assert calls == model.calls
    assert (drive.replies, bool(drive.ended)) == (model.replies, model.ended)
    if not model.ended:
        machine = drive.machine
        assert (machine.state, machine.data) == (model.state, model.data)
        assert sorted(drive.timers.values()) == sorted(each.when for each in model.timeouts if each.when is not None)
