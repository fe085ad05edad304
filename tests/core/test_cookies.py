from __future__ import annotations

import pytest

from pydist.core.cookies import Cookies


def test_a_node_has_its_own_cookies_or_those_that_all_share() -> None:
    cookies = Cookies((b"a", b"b"), {"x@h": (b"c",)})
    assert (cookies.of("x@h"), cookies.of("y@h")) == ((b"c",), (b"a", b"b"))


def test_an_empty_cookie_is_none() -> None:
    for shared, by_node in (((b"",), {}), ((b"a", b""), {}), ((b"a",), {"x@h": (b"",)})):
        with pytest.raises(ValueError, match="a cookie is empty: anybody could connect"):
            Cookies(shared, by_node)


def test_more_than_two_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 2 cookies for another, not 3"):
        Cookies((b"a", b"b", b"c"))


def test_cookies_are_not_shown() -> None:
    assert repr(Cookies((b"a secret",), {"x@h": (b"another",)})) == "Cookies()"
