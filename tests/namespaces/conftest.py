"""Hosts for tests; and where this machine lets nobody make them, a loud word about it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from tests.namespaces.hosts import Host, NamespaceError, Switch
from tests.namespaces.wireguard import Tunnel, join

HERE: Final = Path(__file__).parent
TOOLS: Final = ("ip", "nsenter", "setpriv", "ss", "unshare", "wg", "wireguard-go")
REQUIRED: Final = "PYDIST_NAMESPACES"
"""Where this variable is "required", what can't be tested is a failure."""


@cache
def hindrance() -> str | None:
    """Why there can be no hosts with WireGuard on this machine; None where there can."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return f"there is no {', no '.join(missing)} here: `make test` installs it where it may"
    try:
        with Switch() as switch:
            join(switch.add("trial"))
    except NamespaceError as error:
        return f"this system permits none ({error}): it takes root or user namespaces, and /dev/net/tun"
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Take what can't be run here out, unless it is required; the summary says so."""
    mine = [item for item in items if HERE in item.path.parents]
    reason = hindrance() if mine else None
    if reason is None or os.environ.get(REQUIRED) == "required":
        return
    for item in mine:
        item.add_marker(pytest.mark.skip(reason=f"network namespaces: {reason}"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line that nobody overlooks."""
    tested = any(
        HERE.name in report.nodeid
        for key in ("passed", "failed", "error")
        for report in terminalreporter.getreports(key)
    )
    if not tested and hindrance() is not None and terminalreporter.getreports("skipped"):
        terminalreporter.write_line(
            f"NOT TESTED ON THIS MACHINE: nodes on hosts of their own with WireGuard (tests/namespaces): {hindrance()}",
            red=True,
            bold=True,
        )


@pytest.fixture(autouse=True)
def _possible() -> None:
    """Where hosts are required, a word why there are none."""
    if (reason := hindrance()) is not None:
        pytest.fail(f"network namespaces: {reason}", pytrace=False)


@pytest.fixture
def switch() -> Iterator[Switch]:
    """Joins the hosts of one test."""
    with Switch() as switch:
        yield switch


@pytest.fixture
def alpha(switch: Switch) -> Host:
    return switch.add("alpha")


@pytest.fixture
def beta(switch: Switch) -> Host:
    return switch.add("beta")


@pytest.fixture
def tunnels(alpha: Host, beta: Host) -> list[Tunnel]:
    """WireGuard between alpha and beta, in this order."""
    return join(alpha, beta)
