"""A real browser publishes at one node and watches at another, while processes and nodes die."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import pytest
from playwright.async_api import Browser, Page, async_playwright

pytestmark = pytest.mark.real

REPOSITORY = Path(__file__).parents[2]
NODES = ("a", "b", "c")

CHROMIUM = [
    "--headless=new",
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--allow-loopback-in-peer-connection",
]

ENDED = "The session has ended: the publisher at a@127.0.0.1 is gone."

# What the viewer has got so far; null before it has asked for anything.
STATS = """async () => {
  if (!viewer.pc) return null;
  const found = { currentTime: viewer.video.currentTime, packets: 0, frames: 0, lost: 0, codecs: [] };
  const reports = await viewer.pc.getStats();
  reports.forEach((report) => {
    if (report.type !== "inbound-rtp") return;
    found.lost += report.packetsLost;
    found.codecs.push(reports.get(report.codecId)?.mimeType);
    if (report.kind === "audio") found.packets = report.packetsReceived;
    if (report.kind === "video") found.frames = report.framesDecoded;
  });
  found.codecs.sort();
  return found;
}"""


async def until(ask: Callable[[], Awaitable[Any]], condition: Callable[[Any], Any], seconds: float = 15.0) -> Any:
    """Ask until `condition` finds something in the answer, and return that; at the deadline fail with the last one."""
    deadline = time.monotonic() + seconds
    while True:
        answer = await ask()
        found = condition(answer)
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds} s, at last: {answer}"
        await asyncio.sleep(0.05)


@attrs.define
class Cluster:
    """Three nodes, started as an operator starts them, and seen from outside."""

    process: asyncio.subprocess.Process
    http: aiohttp.ClientSession
    http_ports: dict[str, int]
    udp_ports: dict[str, int]
    epmd_port: int
    said: list[str]
    logged: Path
    """What all of them have written to stderr. A file: a pipe would stay open as long as the port mapper lives."""

    def url(self, node: str, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.http_ports[node]}{path}"

    async def status(self, node: str) -> dict[str, Any]:
        async with self.http.get(self.url(node, "/api/status")) as response:
            assert response.status == 200, await response.text()
            found: dict[str, Any] = await response.json()
            return found

    async def until(self, node: str, condition: Callable[[dict[str, Any]], Any]) -> Any:
        return await until(lambda: self.status(node), condition)

    async def session(self, node: str) -> dict[str, Any]:
        (only,) = (await self.status(node))["sessions"]
        return dict(only)

    async def kill(self, node: str, process: str) -> None:
        async with self.http.post(self.url(node, "/api/debug/kill"), json={"process": process}) as response:
            assert (response.status, await response.text()) == (200, f'{{"killed": "{process}"}}')

    async def read_output(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.said.append(line.decode().rstrip())

    async def until_said(self, pattern: str) -> None:
        async def lines() -> list[str]:
            assert self.process.returncode is None, self.said
            return self.said

        await until(lines, lambda said: any(re.match(pattern, line) for line in said), seconds=30)


def free_ports(count: int) -> int:
    """The first of that many neighbouring ports that nobody has, for TCP or UDP."""
    while True:
        with ExitStack() as held:
            probe = held.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            first: int = probe.getsockname()[1]
            try:
                for port in range(first + 1, first + count):
                    held.enter_context(socket.socket()).bind(("127.0.0.1", port))
                for port in range(first, first + count):
                    held.enter_context(socket.socket(type=socket.SOCK_DGRAM)).bind(("127.0.0.1", port))
            except (OSError, OverflowError):
                continue
            return first


def end_port_mapper(said: list[str]) -> None:
    """One whose starter was killed stays, and waits for other nodes; here nobody comes."""
    mapper = re.search(r"^port mapper .*, pid (\d+)$", "\n".join(said), re.MULTILINE)
    if mapper is not None and is_alive(int(mapper[1])):
        os.kill(int(mapper[1]), signal.SIGTERM)


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    http, epmd = free_ports(3), free_ports(1)
    udp = free_ports(3)
    options = ["--http-port", str(http), "--udp-port", str(udp), "--epmd-port", str(epmd), "--allow-kill"]
    logged = tmp_path / "stderr"
    with logged.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "examples.sfu", *options),
            cwd=REPOSITORY,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
        )
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as session:
        http_ports = {name: http + index for index, name in enumerate(NODES)}
        udp_ports = {name: udp + index for index, name in enumerate(NODES)}
        found = Cluster(process, session, http_ports, udp_ports, epmd, [], logged)
        reading = asyncio.ensure_future(found.read_output())
        try:
            await found.until_said("Open http")
            for name in NODES:
                await found.until(name, lambda status: len(status["nodes"]) == 2 and len(status["cluster"]) == 3)
            yield found
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGINT)
            await asyncio.wait_for(process.wait(), 20)
            await reading
            end_port_mapper(found.said)
    assert process.returncode in {0, -signal.SIGKILL}


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        try:
            yield launched
        finally:
            await launched.close()


async def open_page(browser: Browser, url: str) -> Page:
    page = await browser.new_page()
    await page.goto(url)
    await page.wait_for_function("document.querySelectorAll('#watch option').length === 3", timeout=15_000)
    return page


async def start(page: Page, panel: str, node: str) -> None:
    await page.select_option(f"#{panel} select", label=f"{node}@127.0.0.1")
    await page.click(f"#{panel} .start")
    await expect_message(page, panel, "Connected.")


async def expect_message(page: Page, panel: str, message: str) -> None:
    await page.wait_for_function(
        "([panel, message]) => document.querySelector(`#${panel} .message`).textContent === message",
        arg=[panel, message],
        timeout=20_000,
    )


async def expect_video(page: Page) -> dict[str, Any]:
    """From now on at least ten more frames are decoded, the picture's clock goes on, and there is sound."""
    before = await page.evaluate(STATS)

    def goes_on(now: dict[str, Any]) -> dict[str, Any] | None:
        frames, packets = now["frames"] - before["frames"], now["packets"] - before["packets"]
        return now if frames >= 10 and packets >= 10 and now["currentTime"] > before["currentTime"] + 0.4 else None

    found: dict[str, Any] = await until(lambda: page.evaluate(STATS), goes_on)
    return found


async def publish_and_watch(cluster: Cluster, browser: Browser) -> tuple[Page, Page]:
    """Published at a, watched at c."""
    publisher = await open_page(browser, cluster.url("a"))
    await start(publisher, "publish", "a")
    await cluster.until("c", lambda status: status["channels"])
    viewer = await open_page(browser, cluster.url("c"))
    await start(viewer, "watch", "c")
    return publisher, viewer


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def leaves(tree: dict[str, Any]) -> dict[str, str]:
    """The processes of a supervision tree, by id."""
    found = {tree["id"]: tree["process"]}
    for child in tree.get("children", []):
        found |= leaves(child)
    return found


async def kill_and_wait(cluster: Cluster, node: str, name: str, before: str) -> str:
    """Kill the process, and return the one that its supervisor has started in its place."""

    def restarted(status: dict[str, Any]) -> str | None:
        now = leaves(status["supervisor"]).get(name.rpartition(":")[2])
        return now if now != before else None

    await cluster.kill(node, name)
    found: str = await cluster.until(node, restarted)
    return found


def sees_only(other: str) -> Callable[[dict[str, Any]], bool]:
    return lambda status: status["nodes"] == [other]


async def test_video_crosses_nodes_and_outlives_the_death_of_processes_and_of_a_node(
    cluster: Cluster, browser: Browser
) -> None:
    _, viewer = await publish_and_watch(cluster, browser)
    assert (await expect_video(viewer))["codecs"] == ["audio/opus", "video/VP8"]

    for node in ("a", "c"):
        before = await cluster.session(node)
        for kind, name in (("process", f"session:{before['session']}"), ("channel_process", "channel:lobby")):
            restarted = await kill_and_wait(cluster, node, name, before[kind])
            assert restarted == (await cluster.session(node))[kind]
            await expect_video(viewer)

    os.kill((await cluster.status("b"))["os_pid"], signal.SIGKILL)
    for node, other in (("a", "c@127.0.0.1"), ("c", "a@127.0.0.1")):
        await cluster.until(node, sees_only(other))
        assert [info["node"] for info in (await cluster.status(node))["cluster"]] == ["a@127.0.0.1", "c@127.0.0.1"]
    await cluster.until_said(r"b@127\.0\.0\.1 \(pid \d+\) is gone: SIGKILL")
    assert (await expect_video(viewer))["lost"] == 0


async def test_restarted_processes_still_do_their_work(cluster: Cluster, browser: Browser) -> None:
    publisher, viewer = await publish_and_watch(cluster, browser)
    for node in ("a", "c"):
        for name in (f"session:{(await cluster.session(node))['session']}", "channel:lobby", "directory", "http"):
            await cluster.kill(node, name)
            await cluster.until(node, lambda status: status["sessions"] and status["sessions"][0]["process"])
            await expect_video(viewer)
    await viewer.click("#watch .stop")
    await cluster.until("c", lambda status: not status["sessions"] and not status["links"])
    await cluster.until("a", lambda status: not status["links"])
    await start(viewer, "watch", "b")
    await expect_video(viewer)
    await publisher.click("#publish .stop")
    await expect_message(viewer, "watch", ENDED)
    for node in NODES:
        await cluster.until(
            node, lambda status: not status["sessions"] and not status["channels"] and not status["links"]
        )


async def test_when_the_publishers_node_dies_its_viewers_sessions_end_and_the_channel_is_free(
    cluster: Cluster, browser: Browser
) -> None:
    publisher, viewer = await publish_and_watch(cluster, browser)
    await expect_video(viewer)
    os.kill((await cluster.status("a"))["os_pid"], signal.SIGKILL)
    await expect_message(publisher, "publish", "The node does not answer.")
    await publisher.wait_for_selector("#cluster.stale")
    await expect_message(viewer, "watch", ENDED)
    await cluster.until("c", lambda status: not status["channels"] and not status["links"] and not status["sessions"])
    await start(viewer, "publish", "c")
    await start(viewer, "watch", "b")
    await expect_video(viewer)


@pytest.mark.parametrize("name", ["", "a b"])
async def test_the_page_asks_nobody_for_a_channel_that_can_not_be(
    cluster: Cluster, browser: Browser, name: str
) -> None:
    page = await open_page(browser, cluster.url("a"))
    await page.fill("#channel", name)
    await page.click("#watch .start")
    assert await page.evaluate("document.activeElement.id") == "channel"
    assert await page.inner_text("#watch .message") == "The sound is muted at first; unmute it in the picture."


async def test_a_clean_start_warns_of_nothing(cluster: Cluster) -> None:
    assert [line for line in cluster.logged.read_text().splitlines() if "warning" in line] == []


async def test_a_port_that_is_taken_is_named_and_nothing_is_left_running(cluster: Cluster) -> None:
    epmd = str(cluster.epmd_port)
    options = ["--http-port", str(free_ports(3)), "--udp-port", str(cluster.udp_ports["a"]), "--epmd-port", epmd]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "examples.sfu", *options),
        cwd=REPOSITORY,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    choose = 'choose another: make run ARGS="--udp-port PORT", or --media HOST:PORT for this node alone'
    assert (process.returncode, said.decode().splitlines()) == (
        1,
        [
            f"a@127.0.0.1: UDP 127.0.0.1:{cluster.udp_ports['a']}: Address already in use; {choose}",
            "python -m examples.sfu: a@127.0.0.1 could not start",
        ],
    )


async def test_the_nodes_end_with_the_program_that_started_them(cluster: Cluster) -> None:
    nodes = [(await cluster.status(name))["os_pid"] for name in NODES]
    cluster.process.kill()

    async def living() -> list[int]:
        return [pid for pid in nodes if is_alive(pid)]

    await until(living, lambda pids: not pids)


async def test_a_channel_has_one_publisher_whichever_node_is_asked(cluster: Cluster, browser: Browser) -> None:
    publisher, _ = await publish_and_watch(cluster, browser)
    offer = await publisher.evaluate("publisher.pc.localDescription.sdp")
    for node in NODES:
        headers = {"Content-Type": "application/sdp"}
        async with cluster.http.post(cluster.url(node, "/whip/lobby"), data=offer, headers=headers) as response:
            reason = "somebody publishes on 'lobby' already, at a@127.0.0.1"
            assert (response.status, await response.text()) == (409, reason)


async def test_floods_of_strangers_do_not_stop_the_video(cluster: Cluster, browser: Browser) -> None:
    _, viewer = await publish_and_watch(cluster, browser)
    with socket.socket(type=socket.SOCK_DGRAM) as stranger:
        for first in range(256):
            for node in ("a", "c"):
                for size in (0, 1, 19, 200, 1200):
                    stranger.sendto(bytes((first,)) + os.urandom(size), ("127.0.0.1", cluster.udp_ports[node]))
    dropped = await cluster.until(
        "a", lambda status: len(status["media"]["dropped"]) == 5 and status["media"]["dropped"]
    )
    assert set(dropped) == {"stun", "dtls", "srtp", "relay", "unknown"}
    await expect_video(viewer)
