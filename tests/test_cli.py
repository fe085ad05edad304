"""`python -m pydist`, as it is typed, against a node that is a program of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from pydist import cli
from pydist.cli import main
from pydist.inspection import Branch, Line, Listing, Neighbour, Tree
from pydist.terms import Pid

pytestmark = pytest.mark.real

NODE = "shop@127.0.0.1"
SHOP = """
import sys
from pydist import *

class Till(GenServer):
    async def init(self):
        pass

async def queue():
    await receive(int)

async def shop():
    await Supervisor.start_link([child(Till, name="till")], name="floor")
    send(spawn(queue, name="queue"), "nothing")
    print("open", flush=True)
    await receive()

exports = [] if "closed" in sys.argv else None
run(shop, name=sys.argv[1], cookie="secret", exports=exports)
"""


def environment(port: int) -> dict[str, str]:
    return os.environ | {"ERL_EPMD_PORT": str(port), "PYTHONPATH": str(Path(__file__).parent.parent)}


@pytest.fixture(scope="module")
def epmd_port() -> Iterator[int]:
    """The port of a port mapper that is a program of its own."""
    port = 20_000 + os.getpid() % 10_000
    with subprocess.Popen([sys.executable, "-m", "pydist.epmd", "-port", str(port)], env=environment(port)) as popen:
        yield port
        popen.terminate()


@pytest.fixture(scope="module", autouse=True)
def shops(epmd_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Two nodes, of which one exports nothing."""
    path = tmp_path_factory.mktemp("shop") / "shop.py"
    path.write_text(SHOP)
    programs = [
        subprocess.Popen(
            [sys.executable, path, *arguments], env=environment(epmd_port), stdout=subprocess.PIPE, text=True
        )
        for arguments in ((NODE,), ("other@127.0.0.1", "closed"))
    ]
    for program in programs:
        assert program.stdout is not None
        assert any(line == "open\n" for line in program.stdout)
    yield
    for program in programs:
        program.kill()
        program.wait()
        assert program.stdout is not None
        program.stdout.close()


def pydist(port: int, *arguments: str, cookie: str = "secret") -> tuple[int, str, str]:
    """Run a command: exit code, stdout, stderr."""
    secret = () if arguments[0] == "names" else ("--cookie", cookie)
    done = subprocess.run(
        [sys.executable, "-m", "pydist", *arguments, *secret],
        env=environment(port),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_names_ping_and_nodes(epmd_port: int) -> None:
    code, out, err = pydist(epmd_port, "names")
    assert (code, err) == (0, "")
    assert sorted(line.split()[::2] for line in out.splitlines()) == [
        ["NAME", "KIND"],
        ["other", "pydist"],
        ["shop", "pydist"],
    ]
    assert pydist(epmd_port, "ping", NODE) == (0, f"{NODE} answers\n", "")
    assert pydist(epmd_port, "ping", NODE, "--underlay", "loopback") == (0, f"{NODE} answers\n", "")
    assert pydist(epmd_port, "nodes", NODE) == (0, f"{NODE} is connected with no other node\n", "")
    code, out, _ = pydist(epmd_port, "nodes", NODE, "--all", "--json")
    assert (code, [each["kind"] for each in json.loads(out)]) == (0, ["hidden"])


def test_inspect_shows_processes_the_tree_and_one_process(epmd_port: int) -> None:
    code, out, err = pydist(epmd_port, "inspect", NODE)
    assert (code, err) == (0, "")
    title, head, first, *_ = out.splitlines()
    assert title.startswith(f"{NODE}: ")
    assert head.split() == ["PID", "MAILBOX", "MEMORY", "REDUCTIONS", "STATUS", "NAME", "RUNS"]
    assert first.split()[1::3] == ["1", "waiting"]
    code, out, _ = pydist(epmd_port, "inspect", NODE, "--tree")
    lines = [line[:8].rstrip() for line in out.splitlines()]
    assert lines[lines.index("+ floor") + 1] == "  - till"
    code, out, _ = pydist(epmd_port, "inspect", NODE, "till", "--json")
    detail = json.loads(out)
    assert (code, detail["info"]["name"], detail["info"]["label"], detail["links"]) == (0, "till", "Till", 1)
    code, out, _ = pydist(epmd_port, "inspect", NODE, str(detail["info"]["pid"]["number"]))
    assert (code, out.splitlines()[1]) == (0, "name          till")


@pytest.mark.parametrize(
    ("arguments", "cookie", "says"),
    [
        (["ping", "nobody@127.0.0.1"], "secret", "the port mapper at 127.0.0.1 knows no node 'nobody'"),
        (["ping", NODE], "wrong", "most likely its cookie is another (give the cookie of that node by --cookie-file)"),
        (["ping", "shop"], "secret", "write it as name@host"),
        (["ping", NODE, "--epmd-port", "1"], "secret", "no port mapper answers at 127.0.0.1:1: start one there"),
        (["inspect", NODE, "nobody"], "secret", "has no process nobody"),
        (["ping", NODE, "--underlay", "moon"], "secret", "'moon' is no underlay: there are loopback, tailscale"),
        (["ping", NODE, "--underlay", "wireguard:none9"], "secret", "there is no interface none9"),
        (["ping", "shop@192.0.2.9", "--underlay", "loopback"], "secret", "192.0.2.9 is not of the underlay loopback"),
        (["inspect", "other@127.0.0.1"], "secret", "Node(exports=...) leaves pydist.inspect.processes out"),
    ],
)
def test_what_goes_wrong_is_one_line(epmd_port: int, arguments: list[str], cookie: str, says: str) -> None:
    code, out, err = pydist(epmd_port, *arguments, cookie=cookie)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("pydist: ")
    assert says in err


@pytest.mark.parametrize(
    "arguments", [[], ["fly"], ["inspect", NODE, "--limit", "0"], ["ping", NODE, "--timeout", "nan"]]
)
def test_a_command_that_makes_no_sense_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m pydist" in capsys.readouterr().err


@pytest.fixture
def own_log() -> Iterator[None]:
    """The command silences the log of its program."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


EVIL = "\x1b[2J\ngone"
ANY: Any = b"any"


@pytest.mark.usefixtures("own_log")
@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["nodes"], [Neighbour(EVIL, "visible")]),
        (["inspect"], Listing(EVIL, 1, [Line(Pid("a@h", 1, 1), EVIL, EVIL, "waiting", 0, 0, 0)])),
        (["inspect", "--tree"], Tree(EVIL, [Branch(1 << 60, EVIL, None, "worker", EVIL)], cut=False)),
    ],
)
def test_what_a_node_answers_moves_no_cursor(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], answer: Any
) -> None:
    async def lie(*_: Any) -> Any:
        return answer

    monkeypatch.setattr(cli, "_at", lie)
    assert main([*arguments, NODE]) == 0
    out, err = capsys.readouterr()
    assert all(line.isprintable() for line in out.splitlines())
    assert "gone" not in out.splitlines()
    assert err == ""


@pytest.mark.usefixtures("own_log")
@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["nodes"], 5),
        (["nodes"], [5]),
        (["inspect"], "nothing"),
        (["inspect"], Listing("a@h", 1, [Line(ANY, None, ANY, ANY, ANY, ANY, ANY)])),
        (["inspect", "--tree"], Tree("a@h", [Branch(ANY, "x", None, "worker", "")], cut=False)),
        (["inspect", "--json"], 5.5),
    ],
)
def test_an_answer_of_no_sense_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], answer: Any
) -> None:
    async def lie(*_: Any) -> Any:
        return answer

    monkeypatch.setattr(cli, "_at", lie)
    assert main([*arguments, NODE]) == 1
    nonsense = f"pydist: {NODE} has answered what makes no sense: its pydist is newer, or none\n"
    assert capsys.readouterr() == ("", nonsense)
