"""The log as people read it."""

from __future__ import annotations

from textwrap import dedent
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from pydist import Atom, Crash, Pid
from pydist.core.log_text import render_text

COUNTER: Final = Pid("a@127.0.0.1", 4, 1)
MAIN: Final = Pid("a@127.0.0.1", 1, 1)
TRACEBACK: Final = """\
Traceback (most recent call last):
  File "counter.py", line 12, in handle_call
    raise ValueError("boom")
ValueError: boom
"""

CRASH: Final[dict[str, Any]] = {
    "pid": COUNTER,
    "name": "counter",
    "label": "Counter",
    "reason": Crash("ValueError", "boom", TRACEBACK),
    "ancestors": ["main", MAIN],
    "links": [MAIN],
    "monitors": [],
    "trap_exit": False,
    "message_queue_len": 2,
    "messages": ["one", ("two", 2)],
    "error": "ValueError",
    "exception": TRACEBACK,
    "level": "error",
    "event": "crash_report",
    "timestamp": "2026-11-25 02:30:04.573000",
}
OFFENDER: Final = {
    "level": "error",
    "event": "supervisor_report",
    "supervisor": MAIN,
    "name": None,
    "context": "child_terminated",
    "reason": Atom("killed"),
    "offender": {"id": "the counter", "pid": COUNTER, "restart": "permanent", "significant": False, "shutdown": 5.0},
}


def golden(text: str) -> str:
    return dedent(text).strip("\n")


def test_a_crash_report_stands_on_several_lines_with_its_traceback_last() -> None:
    assert render_text(CRASH) == golden("""
        2026-11-25 02:30:04.573000 error    crash_report
            pid                <Pid a@127.0.0.1/4.1>
            name               counter
            label              Counter
            reason             Crash(ValueError: boom)
            ancestors          main, <Pid a@127.0.0.1/1.1>
            links              <Pid a@127.0.0.1/1.1>
            trap_exit          False
            message_queue_len  2
            messages           one, ('two', 2)
            Traceback (most recent call last):
              File "counter.py", line 12, in handle_call
                raise ValueError("boom")
            ValueError: boom
    """)


def test_a_supervisor_report_shows_its_child_on_one_line() -> None:
    assert render_text(OFFENDER) == golden("""
        error    supervisor_report
            supervisor  <Pid a@127.0.0.1/1.1>
            context     child_terminated
            reason      Atom('killed')
            offender    id='the counter' pid=<Pid a@127.0.0.1/4.1> restart=permanent significant=False shutdown=5.0
    """)


def test_a_terminate_report_shows_what_the_server_was_at() -> None:
    report = {
        "level": "error",
        "event": "terminate_report",
        "behaviour": "GenServer",
        "pid": COUNTER,
        "name": None,
        "label": "Counter",
        "reason": "overdrawn",
        "state": {"total": 3, "log": [1, 2]},
        "client": MAIN,
        "last_message": ("withdraw", 4),
    }
    assert render_text(report) == golden("""
        error    terminate_report
            behaviour     GenServer
            pid           <Pid a@127.0.0.1/4.1>
            label         Counter
            reason        overdrawn
            state         total=3 log=[1, 2]
            client        <Pid a@127.0.0.1/1.1>
            last_message  ('withdraw', 4)
    """)


def test_a_long_step_shows_its_stack() -> None:
    event = {
        "level": "warning",
        "event": "long_schedule",
        "label": "parse",
        "seconds": 0.512,
        "stack": '  File "a.py", line 1, in parse\n    json.loads(text)\n',
    }
    assert render_text(event) == golden("""
        warning  long_schedule  label=parse seconds=0.512
              File "a.py", line 1, in parse
                json.loads(text)
    """)


def test_any_other_event_stands_on_one_line() -> None:
    event = {"event": "node_started", "level": "info", "node": "a@127.0.0.1", "port": 4370, "why": "it was asked to"}
    assert render_text(event) == "info     node_started  node=a@127.0.0.1 port=4370 why='it was asked to'"
    assert render_text({"event": "node_stopped", "level": "info"}) == "info     node_stopped"


def test_colours_mark_level_event_and_keys_and_nothing_else() -> None:
    event = {"event": "node_down", "level": "warning", "node": "\x1b[31mred"}
    assert render_text(event, colour=True) == (
        "\x1b[33mwarning \x1b[0m \x1b[1mnode_down\x1b[0m  \x1b[36mnode\x1b[0m=\\x1b[31mred"
    )


def test_no_value_passes_for_a_line_of_the_log() -> None:
    forged = "x\n2026-11-25 02:30:05 info node_stopped\r\x1b[2K"
    event = {"event": "crash_report", "level": "error", "name": forged, "exception": f"ValueError: {forged}\n"}
    assert render_text(event) == golden(r"""
        error    crash_report
            name  x\n2026-11-25 02:30:05 info node_stopped\r\x1b[2K
            ValueError: x
            2026-11-25 02:30:05 info node_stopped\r\x1b[2K
    """)


def test_of_a_long_traceback_the_middle_is_left_out() -> None:
    lines = [f"line {n}" for n in range(1000)]
    text = render_text({"event": "crash_report", "level": "error", "exception": "\n".join(lines)})
    assert text.split("\n")[1:] == [f"    {line}" for line in [*lines[:50], "... 900 lines left out", *lines[950:]]]


def test_a_long_list_is_cut() -> None:
    text = render_text({"event": "crash_report", "level": "error", "links": list(range(1000))})
    assert text.split("\n")[1] == f"    links  {', '.join(map(str, range(20)))}, ... 980 more"


_values = st.recursive(
    st.none() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), _values), st.sampled_from(["crash_report", "node_up"]))
def test_every_line_but_the_first_is_indented_and_none_can_move_a_cursor(event: dict[str, Any], name: str) -> None:
    first, *others = render_text({**event, "event": name, "level": "info"}).split("\n")
    assert first.isprintable()
    assert all(line.startswith("    ") and line.isprintable() for line in others)
