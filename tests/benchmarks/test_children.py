from __future__ import annotations

import sys

import pytest

from benchmarks.children import ChildFailed, amount_printed_by, answers, free_port, in_background

pytestmark = pytest.mark.real


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_the_amount_is_found_among_other_lines() -> None:
    assert amount_printed_by(python("print('node_started'); print('amount 42'); print('bye')")) == 42


def test_variables_reach_the_program_beside_those_that_are_inherited() -> None:
    code = "import os; assert 'PATH' in os.environ; print('amount', os.environ['BENCH_TEST'])"

    assert amount_printed_by(python(code), {"BENCH_TEST": "7"}) == 7


def test_a_program_that_fails_is_shown_with_its_last_words() -> None:
    with pytest.raises(ChildFailed, match=r"ended with code 3; its last output:\nout of memory"):
        amount_printed_by(python("import sys; print('out of memory', file=sys.stderr); sys.exit(3)"))


def test_a_program_that_prints_no_amount_has_failed() -> None:
    with pytest.raises(ChildFailed, match=r"printed no amount; its last output:\nhello"):
        amount_printed_by(python("print('hello')"))


def test_a_program_that_never_ends_is_given_up_and_shown() -> None:
    with pytest.raises(ChildFailed, match=r"was not done after 0\.5 s"):
        amount_printed_by(python("import threading; threading.Event().wait()"), within=0.5)


def test_a_background_program_lives_as_long_as_the_block() -> None:
    port = free_port()
    listen = f"import socket; server = socket.create_server(('127.0.0.1', {port}))"
    serve = "print('up', flush=True); server.accept(); import threading; threading.Event().wait()"

    with in_background(python(f"{listen}; {serve}"), lambda printed: "up" in printed):
        assert answers(port)
    assert not answers(port)


def test_a_background_program_that_ends_early_has_failed() -> None:
    with (
        pytest.raises(ChildFailed, match=r"(?s)ended with code 0 before it was ready.*no thanks"),
        in_background(python("print('no thanks')"), lambda _: False),
    ):
        pass


def test_when_a_driver_fails_the_program_behind_it_is_shown_too() -> None:
    echo = "print('up; then a traceback', flush=True); import threading; threading.Event().wait()"

    with (
        pytest.raises(ChildFailed, match=r"(?s)ended with code 1.*its last output:\nup; then a traceback"),
        in_background(python(echo), lambda printed: "up" in printed),
    ):
        amount_printed_by(python("raise SystemExit(1)"))


def test_a_background_program_that_never_comes_up_is_given_up() -> None:
    with (
        pytest.raises(ChildFailed, match=r"was not ready after 0\.5 s"),
        in_background(python("import threading; threading.Event().wait()"), lambda _: False, within=0.5),
    ):
        pass
