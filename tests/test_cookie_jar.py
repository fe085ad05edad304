from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from structlog.typing import EventDict

from pydist.cookie_jar import CookieJar
from pydist.core.cookies import Cookies
from pydist.errors import BadNodeName, NodeStartError


def chance(size: int) -> bytes:
    return b"\xab" * size


def jar(cookie: str | None = None, by_node: dict[str, str] | None = None, file: Any = None) -> CookieJar:
    made = CookieJar(cookie, by_node, file, chance)
    made.open()
    return made


def written(file: Path, text: str, mode: int = 0o600) -> Path:
    """As it should be done: beside it, and then in its place."""
    draft = file.with_suffix(".draft")
    draft.write_text(text)
    draft.chmod(mode)
    return draft.rename(file)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return written(tmp_path / "cookie", "old\n")


# Given


def test_a_cookie_that_is_given_counts_for_all_nodes_but_those_with_their_own() -> None:
    assert jar("all", {"b@h": "b's"})() == Cookies((b"all",), {"b@h": (b"b's",)})


def test_a_nodes_own_cookie_can_be_set_and_taken_back() -> None:
    made = jar("all")
    made.set("b@h", "b's")
    assert made().of("b@h") == (b"b's",)
    made.set("b@h", None)
    made.set("b@h", None)
    assert made().of("b@h") == (b"all",)


def test_empty_cookies_and_names_that_are_none_are_refused() -> None:
    for cookie, by_node in (("", {}), ("all", {"b@h": ""})):
        with pytest.raises(NodeStartError, match="the cookie is empty: anybody could connect"):
            jar(cookie, by_node)
    with pytest.raises(BadNodeName):
        jar("all", {"b": "b's"})
    with pytest.raises(NodeStartError, match="a cookie or a cookie_file, not both"):
        jar("all", file="file")


# In a file


def test_the_cookie_of_a_file_is_its_line(file: Path) -> None:
    assert jar(file=file)().of("b@h") == (b"old",)
    assert jar(file=str(file), by_node={"b@h": "b's"})().of("b@h") == (b"b's",)


def test_a_file_that_changes_is_read_again(file: Path, logs: list[EventDict]) -> None:
    made = jar(file=file)
    assert made().of("b@h") == (b"old",)
    written(file, "new\n  old \n\n")
    assert made().of("b@h") == (b"new", b"old")
    written(file, "new")
    assert made().of("b@h") == (b"new",)
    assert [(line["event"], line["cookies"]) for line in logs] == [("cookie_file_read", 2), ("cookie_file_read", 1)]


def test_a_file_that_does_not_change_is_not_read_again(file: Path) -> None:
    made = jar(file=file)
    assert made() is made()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_file_that_others_may_read_or_write_is_refused_with_what_to_do(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(NodeStartError, match=f"others may read or write the cookie file {file}: chmod 600 {file}"):
        jar(file=file)


@pytest.mark.parametrize("text", ["", "\n \n", "a\nb\nc", "x" * 4097])
def test_a_file_without_one_or_two_cookies_is_refused(file: Path, text: str) -> None:
    written(file, text)
    with pytest.raises(NodeStartError, match=r"holds one cookie, or two while .* This one has \d+ bytes and \d+ lines"):
        jar(file=file)


def test_a_file_that_is_not_there_is_refused_where_it_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(NodeStartError, match=f"{tmp_path}/none can't be read: No such file"):
        jar(file=tmp_path / "none")


def test_what_is_no_regular_file_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path / "pipe", tmp_path, Path(os.devnull)):
        with pytest.raises(NodeStartError, match=f"{path} can't be read: it is no regular file"):
            jar(file=path)


def test_when_a_file_becomes_a_pipe_the_former_cookies_count(file: Path, logs: list[EventDict]) -> None:
    made = jar(file=file)
    file.unlink()
    os.mkfifo(file, 0o600)
    assert [made().of("b@h") for _ in range(3)] == [(b"old",)] * 3
    assert [line["reason"] for line in logs] == [f"the cookie file {file} can't be read: it is no regular file"]


def test_when_a_file_goes_bad_the_former_cookies_count_and_one_line_says_why(file: Path, logs: list[EventDict]) -> None:
    made = jar(file=file)
    written(file, "new", mode=0o644)
    assert [made().of("b@h") for _ in range(3)] == [(b"old",)] * 3
    file.unlink()
    assert [made().of("b@h") for _ in range(3)] == [(b"old",)] * 3
    assert [line["reason"] for line in logs] == [
        f"others may read or write the cookie file {file}: chmod 600 {file}",
        f"the cookie file {file} can't be read: No such file or directory",
    ]
    written(file, "new")
    assert made().of("b@h") == (b"new",)


# In the user's home


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_without_a_cookie_one_is_made_in_the_users_home_and_only_its_owner_can_read_it(home: Path) -> None:
    made = jar()().of("b@h")
    file = home / ".pydist.cookie"
    assert made == (b"ab" * 32,)
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("ab" * 32 + "\n", 0o400)
    assert os.listdir(home) == [".pydist.cookie"]  # noqa: PTH208  # the names are what is asked for


def test_the_cookie_in_the_users_home_is_taken_where_there_is_one(home: Path) -> None:
    written(home / ".pydist.cookie", "mine\n")
    assert jar()().of("b@h") == (b"mine",)


def test_a_home_where_no_file_can_be_made_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(home / "none"))
    with pytest.raises(NodeStartError, match=r"no cookie was given, and .*/none/.pydist.cookie can't be made: No such"):
        jar()
