"""The log as programs read it."""

from __future__ import annotations

import json
from math import inf, nan
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from pydist import SHUTDOWN, Crash, Pid
from pydist.core.log_json import render_json

PID: Final = Pid("a@127.0.0.1", 4, 1)
TRACEBACK: Final = 'Traceback (most recent call last):\n  File "counter.py", line 12\nValueError: boom\n'
CRASH: Final[dict[str, Any]] = {
    "pid": PID,
    "name": "counter",
    "label": "Counter",
    "reason": Crash("ValueError", "boom", TRACEBACK),
    "ancestors": ["main", Pid("a@127.0.0.1", 1, 1)],
    "links": [Pid("a@127.0.0.1", 1, 1)],
    "monitors": [],
    "trap_exit": False,
    "message_queue_len": 2,
    "messages": ["é\x1b", ("two", 2)],
    "error": "ValueError",
    "exception": TRACEBACK,
    "level": "error",
    "event": "crash_report",
    "timestamp": "2026-11-25T02:30:04.573000Z",
}


class Broken:
    def __repr__(self) -> str:
        raise SystemExit("even this")


def plain(value: object) -> Any:
    return json.loads(render_json({"event": "e", "value": value}), parse_constant=_no_json)["value"]


def _no_json(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def test_as_json_a_report_is_one_line_of_ascii_that_begins_with_what_every_line_has() -> None:
    line = render_json(CRASH)
    assert (line.isascii(), "\n" in line) == (True, False)
    assert list(json.loads(line).items()) == [
        ("timestamp", "2026-11-25T02:30:04.573000Z"),
        ("level", "error"),
        ("event", "crash_report"),
        ("pid", "<Pid a@127.0.0.1/4.1>"),
        ("name", "counter"),
        ("label", "Counter"),
        ("reason", "Crash(ValueError: boom)"),
        ("ancestors", ["main", "<Pid a@127.0.0.1/1.1>"]),
        ("links", ["<Pid a@127.0.0.1/1.1>"]),
        ("monitors", []),
        ("trap_exit", False),
        ("message_queue_len", 2),
        ("messages", ["é\x1b", "('two', 2)"]),
        ("error", "ValueError"),
        ("exception", TRACEBACK),
    ]


def test_what_json_has_is_written_as_it_is() -> None:
    value: dict[str, Any] = {"a": [None, True, 1, 1.5, "é"], "b": {}}
    assert plain(value) == value


def test_all_else_is_the_text_that_stands_for_it() -> None:
    pid = Pid("a@127.0.0.1", 4, 1)
    values: list[object] = [pid, (SHUTDOWN, "why"), nan, inf, 1 << 64, Broken(), {pid: 1}, b"x", Exception("e")]
    assert plain(values) == [
        "<Pid a@127.0.0.1/4.1>",
        "(Atom('shutdown'), 'why')",
        "nan",
        "inf",
        "18446744073709551616",
        "<Broken that can't be shown>",
        {"<Pid a@127.0.0.1/4.1>": 1},
        "b'x'",
        "Exception('e')",
    ]


def test_what_is_long_or_deep_is_cut() -> None:
    assert [plain("x" * 1_000_000), plain([0] * 100), plain([[[[[1]]]]]), plain({n: n for n in range(100)})] == [
        "x" * 1997 + "...",
        [0] * 20 + ["... 80 more"],
        [[[["[1]"]]]],
        {**{str(n): n for n in range(20)}, "...": "80 more"},
    ]


def test_a_traceback_has_more_room_than_other_texts() -> None:
    line = json.loads(render_json({"event": "e", "exception": "x" * 100_000}))
    assert line == {"event": "e", "exception": "x" * 19_997 + "..."}


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.builds(Broken),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text() | st.integers(), _values))
def test_whatever_the_fields_are_the_line_is_one_object_of_json(event: dict[Any, Any]) -> None:
    line = render_json({"event": "e", **event})
    assert line.isascii()
    assert "\n" not in line
    assert isinstance(json.loads(line, parse_constant=_no_json), dict)
