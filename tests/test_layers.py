"""The import law, held by reading imports: the layers are data, parsed from the picture in docs/architecture.md."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).resolve().parent.parent
PICTURE = "docs/architecture.md"
TOP = 7
BEHAVIOURS = 6
HIDDEN_FROM_BEHAVIOURS = ("node.py", "peer.py", "router.py", "wire/")
PURE = ("wire/", "core/")
WORLDLY = frozenset({"asyncio", "os", "random", "secrets", "socket", "ssl", "threading", "time", "uuid"})
FACE = "__init__.py"


@attrs.frozen
class Import:
    """One name that a file imports: a file of pydist, or a module from elsewhere."""

    line: int
    target: str
    internal: bool


def read_picture(markdown: str) -> dict[str, int]:
    """The layer of each file, from the code block that begins with `pydist/`."""
    block = re.search(r"^```\npydist/\n(.*?)^```", markdown, re.MULTILINE | re.DOTALL)
    if block is None:
        raise AssertionError(f"{PICTURE} has no code block that begins with `pydist/`: the import law is drawn there")
    layers: dict[str, int] = {}
    layer = None
    for line in block[1].splitlines():
        if heading := re.match(r"  # L(\d) ", line):
            layer = int(heading[1])
        elif (entry := re.match(r"  (\S+\.py)(  |$)", line)) and layer is not None:
            layers[entry[1]] = layer
        else:
            raise AssertionError(f"{PICTURE}: {line!r} is neither `  # L<n> ...` nor `  <file>.py  what it is`")
    return layers


def read_sources() -> dict[str, str]:
    package = ROOT / "pydist"
    return {path.relative_to(package).as_posix(): path.read_text() for path in sorted(package.rglob("*.py"))}


def _file_of(module: str, files: Mapping[str, object]) -> str | None:
    """The file that `pydist.a.b` names, or None where there is no such file."""
    stem = "/".join(module.split(".")[1:])
    candidates = (f"{stem}.py", f"{stem}/{FACE}") if stem else (FACE,)
    return next((candidate for candidate in candidates if candidate in files), None)


def _absolute(path: str, node: ast.ImportFrom) -> str:
    """The module that an import statement names, with leading dots worked out."""
    if not node.level:
        return node.module or ""
    folders = ["pydist", *path.split("/")[:-1]]
    base = folders[: len(folders) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def _modules(path: str, node: ast.AST, files: Mapping[str, object]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        module = _absolute(path, node)
        for alias in node.names:
            # `from pydist.wire import codec` names a file, `from pydist.terms import Pid` a value in one.
            whole = f"{module}.{alias.name}"
            yield whole if module.startswith("pydist") and _file_of(whole, files) else module


def imports(path: str, source: str, files: Mapping[str, object]) -> list[Import]:
    """Every import in a file, wherever it stands: inside functions and under TYPE_CHECKING too."""
    found: list[Import] = []
    for node in ast.walk(ast.parse(source)):
        for module in _modules(path, node, files):
            internal = module.split(".")[0] == "pydist"
            target = (_file_of(module, files) or module) if internal else module
            found.append(Import(getattr(node, "lineno", 0), target, internal))
    return found


def strangers(picture: Mapping[str, int], sources: Mapping[str, str]) -> list[str]:
    """Files without a place in the picture, and places without a file."""
    unlisted = [
        f"pydist/{path} has no place in the picture of {PICTURE}: choose its layer and list it there"
        for path in sources.keys() - picture.keys()
    ]
    gone = [
        f"{PICTURE} lists {path}, which does not exist: take the line out, or under `Rooms to come`"
        for path in picture.keys() - sources.keys()
    ]
    return sorted(unlisted + gone)


def _fault(picture: Mapping[str, int], path: str, target: str) -> str | None:
    """What is wrong with `path` importing `target`, a file of pydist."""
    own, other = picture[path], picture.get(target)
    if target == FACE:
        return "the face re-exports what is inside: import from the file that defines the name"
    if other is None:
        return "no such file in the picture"
    if other == TOP:
        return f"nobody imports L{TOP}: what both need belongs in a lower layer"
    if own == BEHAVIOURS and target.startswith(HIDDEN_FROM_BEHAVIOURS):
        return "behaviours are built on process functions alone: use those, or offer a new one in L4"
    if other > own:
        return f"L{own} may not know of L{other}: return an event, or take the function as an argument"
    return None


def upward(picture: Mapping[str, int], sources: Mapping[str, str]) -> list[str]:
    """Imports that the layers forbid."""
    return [
        f"pydist/{path}:{found.line} imports {found.target}: {fault}"
        for path, source in sources.items()
        if picture.get(path, TOP) != TOP
        for found in imports(path, source, sources)
        if found.internal and (fault := _fault(picture, path, found.target))
    ]


def _unknown_to(picture: Mapping[str, int], path: str) -> frozenset[str]:
    if path.startswith(PURE):
        return WORLDLY
    # An error may derive from one of asyncio's.
    return WORLDLY - {"asyncio"} if picture.get(path) == 0 else frozenset()


def worldly(picture: Mapping[str, int], sources: Mapping[str, str]) -> list[str]:
    """Imports of clocks, sockets and entropy where everything must come in as an argument."""
    return [
        f"pydist/{path}:{found.line} imports {found.target}: values and machines are pure; "
        "take time as `now: float`, entropy as bytes, and leave sockets to L3"
        for path, source in sources.items()
        for found in imports(path, source, sources)
        if not found.internal and found.target.split(".")[0] in _unknown_to(picture, path)
    ]


def cycle(sources: Mapping[str, str]) -> list[str]:
    """One ring of files that import each other, if there is any."""
    graph = {
        path: {found.target for found in imports(path, source, sources) if found.internal}
        for path, source in sources.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        ring: list[str] = error.args[1]
        return [f"{' -> '.join(reversed(ring))}: files that import each other are one file, or want a third below both"]
    return []


def _expect_none(faults: list[str]) -> None:
    assert not faults, "\n" + "\n".join(faults)


@pytest.fixture(scope="module")
def picture() -> dict[str, int]:
    return read_picture((ROOT / PICTURE).read_text())


@pytest.fixture(scope="module")
def sources() -> dict[str, str]:
    return read_sources()


def test_every_file_has_a_place_in_the_picture(picture: dict[str, int], sources: dict[str, str]) -> None:
    _expect_none(strangers(picture, sources))


def test_files_import_only_from_their_own_layer_and_below(picture: dict[str, int], sources: dict[str, str]) -> None:
    _expect_none(upward(picture, sources))


def test_values_and_machines_know_no_clock_no_socket_no_entropy(
    picture: dict[str, int], sources: dict[str, str]
) -> None:
    _expect_none(worldly(picture, sources))


def test_no_files_import_each_other_in_a_ring(sources: dict[str, str]) -> None:
    _expect_none(cycle(sources))


# The law against small invented houses: each rule is seen to catch what it is for.

HOUSE = {
    "__init__.py": 7,
    "terms.py": 0,
    "wire/codec.py": 1,
    "core/ticker.py": 2,
    "process.py": 4,
    "router.py": 5,
    "node.py": 5,
    "gen_server.py": 6,
    "cli.py": 7,
}


def _house(**changed: str) -> dict[str, str]:
    """Sources of HOUSE, all empty but for `changed`, whose keys have `__` for the slash."""
    return {path: changed.get(path.removesuffix(".py").replace("/", "__"), "") for path in HOUSE}


def test_the_picture_is_read_into_layers() -> None:
    text = "# a\n```\nother\n```\n```\npydist/\n  # L0 values\n  terms.py   Atom\n  # L1 wire\n  wire/codec.py\n```\n"
    assert read_picture(text) == {"terms.py": 0, "wire/codec.py": 1}


@pytest.mark.parametrize("line", ["terms.py without indent", "  terms.py before any layer"])
def test_a_line_that_draws_nothing_is_refused(line: str) -> None:
    with pytest.raises(AssertionError, match="is neither"):
        read_picture(f"```\npydist/\n{line}\n```\n")


def test_a_page_without_a_picture_is_refused() -> None:
    with pytest.raises(AssertionError, match="no code block"):
        read_picture("```\nsomething else\n```\n")


def test_files_without_place_and_places_without_file_are_named() -> None:
    assert strangers({"old.py": 0}, {"new.py": ""}) == [
        "docs/architecture.md lists old.py, which does not exist: take the line out, or under `Rooms to come`",
        "pydist/new.py has no place in the picture of docs/architecture.md: choose its layer and list it there",
    ]


@pytest.mark.parametrize(
    ("path", "source", "target"),
    [
        ("terms", "from pydist.wire import codec", "wire/codec.py"),
        ("core__ticker", "import pydist.process", "process.py"),
        ("core__ticker", "from ..process import spawn", "process.py"),
        ("process", "def late():\n    from pydist.node import Node", "node.py"),
        ("process", "if TYPE_CHECKING:\n    from pydist.node import Node", "node.py"),
        ("gen_server", "from pydist.node import Node", "node.py"),
        ("gen_server", "from pydist.router import Router", "router.py"),
        ("gen_server", "from pydist.wire.codec import Encoder", "wire/codec.py"),
        ("node", "from pydist.cli import main", "cli.py"),
        ("process", "import pydist", "__init__.py"),
        ("process", "from pydist import send", "__init__.py"),
        ("process", "from . import send", "__init__.py"),
        ("process", "from pydist.vanished import send", "pydist.vanished"),
    ],
)
def test_a_forbidden_import_is_caught(path: str, source: str, target: str) -> None:
    faults = upward(HOUSE, _house(**{path: source}))
    assert [fault.split(": ")[0].split(" imports ")[1] for fault in faults] == [target]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("node", "from pydist.router import Router\nfrom pydist.wire.codec import Encoder"),
        ("gen_server", "from pydist.process import spawn\nfrom pydist import terms"),
        ("__init__", "from pydist.node import Node"),
        ("cli", "from pydist import run"),
        ("process", "import asyncio, time"),
    ],
)
def test_a_lawful_import_is_let_through(path: str, source: str) -> None:
    house = _house(**{path: source})
    assert upward(HOUSE, house) + worldly(HOUSE, house) + cycle(house) == []


@pytest.mark.parametrize("path", ["terms", "wire__codec", "core__ticker"])
@pytest.mark.parametrize("source", ["import time", "from os.path import join", "def late():\n    import socket as s"])
def test_a_clock_or_socket_in_a_value_or_machine_is_caught(path: str, source: str) -> None:
    assert len(worldly(HOUSE, _house(**{path: source}))) == 1


def test_asyncio_is_caught_in_a_machine_and_let_through_in_a_value() -> None:
    source = "from asyncio import CancelledError"
    assert len(worldly(HOUSE, _house(wire__codec=source))) == 1
    assert worldly(HOUSE, _house(terms=source)) == []


def test_a_ring_of_imports_is_named_in_order() -> None:
    house = _house(node="from pydist.router import Router", router="from pydist import node")
    [fault] = cycle(house)
    assert fault.split(":")[0] in {"node.py -> router.py -> node.py", "router.py -> node.py -> router.py"}
