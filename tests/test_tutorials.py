"""The tutorials tell the truth: each program in docs/tutorial/ runs, and prints what the page says that it prints.

In a page, a block of `python` is a whole program. A block of `text` behind it is its standard output, and a block of
`log` stands in its standard error; `...` stands for anything. Here the programs run in virtual time, so that an hour
takes none; one of each page runs as its reader would run it.
"""

from __future__ import annotations

import linecache
import os
import re
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from types import ModuleType

import attrs
import pytest
import structlog

import pydist
from pydist import configure_logging
from tests.virtual_time import run_process

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "tutorial"
CHAPTERS = sorted(FOLDER.glob("[0-9]*.md"))
PAGES = [page for page in CHAPTERS if page.name != "4-nodes.md"]
"""Those whose programs are one node each; of several nodes is `test_tutorial_nodes.py`."""
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}")


@attrs.define
class Program:
    """A program of a page, and what the page says of it."""

    page: str
    line: int
    source: str
    printed: str = ""
    logged: str = ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def programs(page: str, text: str) -> list[Program]:
    """The programs of a page, in order."""
    found: list[Program] = []
    for block in BLOCK.finditer(text):
        kind, content = block[1], block[2]
        if kind == "python":
            found.append(Program(page, text.count("\n", 0, block.start()) + 1, content))
        elif kind == "text":
            found[-1].printed += content
        elif kind == "log":
            found[-1].logged += content
        else:
            raise AssertionError(f"{page}: a block is python, text or log, not {kind!r}")
    return found


PROGRAMS = [program for page in PAGES for program in programs(page.name, page.read_text())]


def pattern(expected: str) -> str:
    """A regular expression for the text, in which `...` and any time stand for what may vary.

    On a line of its own `...` is any lines, or none: the C twin has no frames where Python has.
    """
    expected = re.sub(r"^ *\.\.\.\n", "...", TIME.sub("...", expected), flags=re.MULTILINE)
    return ".*?".join(map(re.escape, expected.split("...")))


def perform(program: Program, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Run it in virtual time; what it has written to standard output and to standard error."""
    monkeypatch.setattr(pydist, "run", run_process)
    module = ModuleType("cafe")
    monkeypatch.setitem(sys.modules, "cafe", module)
    lines = program.source.splitlines(keepends=True)
    monkeypatch.setitem(linecache.cache, "cafe.py", (len(program.source), None, lines, "cafe.py"))
    with redirect_stdout(StringIO()) as printed, redirect_stderr(StringIO()) as logged:
        configure_logging(format="text")
        try:
            exec(compile(program.source, "cafe.py", "exec"), module.__dict__)  # noqa: S102  # it is our own
        finally:
            structlog.reset_defaults()
    return printed.getvalue(), logged.getvalue()


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_a_program_prints_what_stands_below_it(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    printed, logged = perform(program, monkeypatch)
    assert re.fullmatch(pattern(program.printed), printed, re.DOTALL), printed
    assert re.search(pattern(program.logged), logged, re.DOTALL), logged


def test_every_page_has_programs_and_every_program_shows_something() -> None:
    assert {program.page for program in PROGRAMS} == {page.name for page in PAGES}
    assert [str(program) for program in PROGRAMS if not program.printed] == []


@pytest.mark.real
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_first_program_of_a_page_runs_as_its_reader_runs_it(page: Path, tmp_path: Path) -> None:
    program = next(each for each in PROGRAMS if each.page == page.name)
    path = tmp_path / "cafe.py"
    path.write_text(program.source)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, path], env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert re.fullmatch(pattern(program.printed), done.stdout, re.DOTALL), done.stdout + done.stderr
    assert done.returncode == 0


def test_the_programs_are_clean_for_strict_type_checkers(tmp_path: Path) -> None:
    for program in PROGRAMS:
        name = f"{program.page.removesuffix('.md').replace('-', '_')}_{program.line}"
        (tmp_path / f"cafe_{name}.py").write_text(program.source)
    command = [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", "--no-pretty", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_index_and_the_readme_lead_to_every_page() -> None:
    index, readme = (FOLDER / "README.md").read_text(), (ROOT / "README.md").read_text()
    assert [page.name for page in CHAPTERS if f"({page.name})" not in index] == []
    assert "](docs/tutorial/README.md)" in readme


# -- the reader of pages


def test_a_page_is_read_into_programs() -> None:
    page = "# t\n```python\na\n```\n\n```text\n1\n```\nwords\n```log\n2\n```\n```python\nb\n```\n```text\n3\n```\n"
    assert programs("t.md", page) == [Program("t.md", 2, "a\n", "1\n", "2\n"), Program("t.md", 13, "b\n", "3\n")]


def test_a_block_of_another_kind_is_refused() -> None:
    with pytest.raises(AssertionError, match="a block is python, text or log, not 'py'"):
        programs("t.md", "```py\na\n```\n")


def test_dots_and_times_stand_for_anything() -> None:
    expected = "2026-11-25 03:07:10.136701 info ready\n  at ... (x)\n"
    assert re.fullmatch(pattern(expected), "2031-01-02 03:04:05.000000 info ready\n  at home (x)\n", re.DOTALL)
    assert not re.fullmatch(pattern(expected), "2031-01-02 03:04:05.000000 info ready\n  at home (y)\n", re.DOTALL)
