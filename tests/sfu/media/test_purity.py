"""The media plane's machines see neither sockets nor clocks: all but two files are driven by their callers."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from examples.sfu import media

FOLDER = Path(media.__file__).parent
WORLDLY = {"aiohttp", "asyncio", "os", "random", "secrets", "socket", "ssl", "threading", "time", "uuid"}
PURE = sorted(path.name for path in FOLDER.glob("*.py") if path.name != "socket.py")


def imported(path: Path) -> set[str]:
    """The top-level modules that a file imports, and of pydist what it takes from it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found |= {f"pydist.{alias.name}" for alias in node.names} if node.module == "pydist" else set()
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("name", PURE)
def test_a_machine_imports_nothing_of_the_world(name: str) -> None:
    assert imported(FOLDER / name) & WORLDLY == set()


@pytest.mark.parametrize("name", PURE)
def test_a_machine_knows_processes_only_as_messages(name: str) -> None:
    assert {module for module in imported(FOLDER / name) if module.startswith("pydist.")} <= {"pydist.Message"}
