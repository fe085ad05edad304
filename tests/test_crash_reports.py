"""A process ends, and is heard of, whatever the report of its crash comes to."""

from __future__ import annotations

from typing import Any

import pytest
import structlog

from pydist import Crash, Down, monitor, receive, spawn
from tests.helpers import in_process


class _SpeechlessError(Exception):
    def __str__(self) -> str:
        raise SystemExit("even this")


async def _crash(error: BaseException) -> None:
    raise error


async def _fate(error: BaseException) -> Any:
    _, ref = spawn(_crash, error, monitor=True)
    return (await receive(ref)).reason


@in_process
async def test_a_log_that_fails_keeps_nobody_from_hearing_of_the_end() -> None:
    def closed(*_: Any) -> Any:
        raise BrokenPipeError

    structlog.configure(processors=[closed])
    try:
        reason = await _fate(ValueError("boom"))
    finally:
        structlog.reset_defaults()

    assert (reason.error, reason.message) == ("ValueError", "boom")


@in_process
async def test_an_error_whose_text_ends_the_program_ends_its_process_only() -> None:
    reason = await _fate(_SpeechlessError())

    assert isinstance(reason, Crash)
    assert reason.message == "<_SpeechlessError has no text>"


@in_process
async def test_a_timeout_that_is_no_number_is_refused_and_others_expire_all_the_same() -> None:
    with pytest.raises(ValueError, match="a timeout is a number of seconds or None, not nan"):
        await receive("never".__eq__, float("nan"))
    text: Any = "5"
    with pytest.raises(TypeError, match="a timeout is a number of seconds or None, not '5'"):
        await receive("never".__eq__, text)
    with pytest.raises(TimeoutError):
        await receive("never".__eq__, 0.1)


@pytest.mark.parametrize("name", ["\ud800", "x" * 256, ""])
def test_what_is_no_name_is_refused_before_anything_is_kept(name: str) -> None:
    @in_process
    async def body() -> None:
        async def watch() -> None:
            for address in (name, (name, "b@127.0.0.1")):
                with pytest.raises(ValueError, match="a name"):
                    monitor(address)

        _, ref = spawn(watch, monitor=True)
        down: Down = await receive(ref)
        assert down.reason.name == "normal"

    body()
