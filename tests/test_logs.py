"""Where the log goes, and in which form."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
import structlog

from pydist import configure_logging, run
from pydist.logs import default_logging

log = structlog.get_logger("pydist")


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """structlog is not configured, before and after; the environment has its say only where the test gives it one."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


def timeless(text: str) -> str:
    return re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\.\d{6}Z?", "NOW", text)


def test_on_a_terminal_it_is_for_people() -> None:
    terminal = Terminal()
    configure_logging(stream=terminal)
    log.info("node_started", port=4370)
    assert timeless(terminal.getvalue()) == (
        "NOW \x1b[32minfo    \x1b[0m \x1b[1mnode_started\x1b[0m  \x1b[36mport\x1b[0m=4370\n"
    )


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_on_a_terminal_without_colours_it_is_plain(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    terminal = Terminal()
    configure_logging(stream=terminal)
    log.info("node_started", port=4370)
    assert timeless(terminal.getvalue()) == "NOW info     node_started  port=4370\n"


def test_elsewhere_it_is_json_a_line() -> None:
    file = StringIO()
    configure_logging(stream=file)
    log.info("node_started", port=4370)
    log.error("node_stopped")
    lines = [json.loads(timeless(line)) for line in file.getvalue().splitlines()]
    assert lines == [
        {"timestamp": "NOW", "level": "info", "event": "node_started", "port": 4370},
        {"timestamp": "NOW", "level": "error", "event": "node_stopped"},
    ]


def test_the_form_can_be_asked_for() -> None:
    file, terminal = StringIO(), Terminal()
    configure_logging(stream=file, format="text")
    log.info("node_stopped")
    configure_logging(stream=terminal, format="json")
    log.info("node_stopped")
    assert timeless(file.getvalue()) == "NOW info     node_stopped\n"
    assert json.loads(terminal.getvalue())["event"] == "node_stopped"


def test_an_exception_and_what_is_bound_to_the_context_go_with_the_event() -> None:
    file = StringIO()
    configure_logging(stream=file)
    with structlog.contextvars.bound_contextvars(here="a@127.0.0.1"):
        try:
            int("boom")
        except ValueError:
            log.exception("failed")
    line = json.loads(file.getvalue())
    assert (line["here"], line["exception"].splitlines()[-1]) == (
        "a@127.0.0.1",
        "ValueError: invalid literal for int() with base 10: 'boom'",
    )


def test_what_is_below_the_level_is_not_written() -> None:
    file = StringIO()
    configure_logging("error", stream=file)
    log.warning("node_down")
    assert file.getvalue() == ""


def test_a_stream_that_cannot_be_written_to_is_no_error() -> None:
    file = StringIO()
    configure_logging(stream=file)
    file.close()
    log.error("node_down")


def test_a_program_without_standard_error_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", None)
    configure_logging()
    log.error("node_down")


def test_what_makes_no_sense_is_refused() -> None:
    wrong: Any = "loud"
    with pytest.raises(ValueError, match="level is one of debug, info, warning, error, critical, not 'loud'"):
        configure_logging(wrong)
    with pytest.raises(ValueError, match="format is one of auto, text, json, not 'loud'"):
        configure_logging(format=wrong)
    assert not structlog.is_configured()


def test_run_writes_to_standard_error_as_if_asked_to(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> bool:
        await asyncio.sleep(0)
        return structlog.is_configured()

    assert (run(main), structlog.is_configured()) == (True, False)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert [json.loads(line)["event"] for line in captured.err.splitlines()] == ["node_stopped"]


def test_run_leaves_a_log_that_is_configured_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    file = StringIO()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(file))

    async def main() -> None: ...

    run(main)
    assert "node_stopped" in file.getvalue()
    assert capsys.readouterr().err == ""
    assert structlog.is_configured()


def test_a_program_that_configures_its_log_meanwhile_keeps_it() -> None:
    with default_logging():
        configure_logging("error")
    assert structlog.is_configured()


def test_what_is_written_to_may_log_itself() -> None:
    class Chatty(StringIO):
        def write(self, text: str) -> int:
            if "first" in text:
                log.info("second")
            return super().write(text)

    stream = Chatty()
    configure_logging(stream=stream)
    log.info("first")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["second", "first"]
