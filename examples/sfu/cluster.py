"""A cluster on one machine: a port mapper and nodes, each an OS process of its own, started and stopped together.

The nodes start one after the other: each finds those before it, and nobody dials a node that is not there yet.
A child that dies is reported, and not started again: what its absence does is what there is to see.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import attrs

from examples.sfu.settings import Settings, text_of
from pydist import epmd_client
from pydist.errors import PortMapperError

START_TIMEOUT: Final = 20.0
STOP_TIMEOUT: Final = 5.0
PORT_MAPPER: Final = "the port mapper"
_POLL: Final = 0.05
"""Seconds between two questions to a port mapper that is starting."""


class StartFailed(Exception):
    """A child did not come up; it has said why on stderr."""


@attrs.frozen
class Child:
    """One OS process."""

    name: str
    process: asyncio.subprocess.Process


class Cluster:
    """Starts, watches and stops the children. `say` gets a line for the operator."""

    def __init__(self, nodes: Sequence[Settings], epmd_port: int, say: Callable[[str], None]) -> None:
        self._nodes = nodes
        self._epmd_port = epmd_port
        self._say = say
        self._children: list[Child] = []
        self._environment = {**os.environ, "SFU_COOKIE": secrets.token_hex(16)}

    async def start(self) -> None:
        """Bring everything up.

        Raises:
            StartFailed: a child has ended, or was not ready in time.
        """
        await self._start_port_mapper()
        for settings in self._nodes:
            child = await self._start_node(settings)
            await self._wait_until_ready(child)
            media = f"media {text_of(settings.media)}/udp"
            self._say(f"{child.name:12} {settings.url}  {media}  pid {child.process.pid}")

    async def watch(self) -> None:
        """Report children that end; returns when no node is left."""
        watches = [asyncio.ensure_future(self._watch(child)) for child in self._children]
        try:
            await asyncio.gather(*watches[-len(self._nodes) :])
        finally:
            for watch in watches:
                watch.cancel()

    async def stop(self) -> None:
        """End all children: nodes first, the port mapper last."""
        mapper = [child for child in self._children if child.name == PORT_MAPPER]
        await asyncio.gather(*(_stop(child.process) for child in self._children if child not in mapper))
        await asyncio.gather(*(_stop(child.process) for child in mapper))

    async def _start_port_mapper(self) -> None:
        if await self._port_mapper_answers():
            self._say(f"port mapper  a running one on port {self._epmd_port}")
            return
        child = await self._spawn(PORT_MAPPER, "pydist.epmd", "--port", str(self._epmd_port))
        async with asyncio.timeout(START_TIMEOUT):
            while not await self._port_mapper_answers():
                if child.process.returncode is not None:
                    choose = 'choose another: make run ARGS="--epmd-port PORT"'
                    raise StartFailed(f"{PORT_MAPPER} could not start on port {self._epmd_port}; {choose}")
                await asyncio.sleep(_POLL)
        self._say(f"port mapper  port {self._epmd_port}, pid {child.process.pid}")

    async def _port_mapper_answers(self) -> bool:
        try:
            await epmd_client.names(epmd_port=self._epmd_port)
        except PortMapperError:
            return False
        return True

    async def _start_node(self, settings: Settings) -> Child:
        options = ["--name", settings.name, "--http", text_of(settings.http), "--media", text_of(settings.media)]
        options += ["--epmd-port", str(self._epmd_port), "--with-parent"]
        options += ["--allow-kill"] if settings.allow_kill else []
        for seed in settings.seeds:
            options += ["--seed", seed]
        return await self._spawn(settings.name, "examples.sfu.node", *options)

    async def _spawn(self, name: str, module: str, *options: str) -> Child:
        """In a session of its own, so that Ctrl-C reaches this process alone; its stdin ends when this process does."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *options),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=self._environment,
            start_new_session=True,
        )
        child = Child(name, process)
        self._children.append(child)
        return child

    async def _wait_until_ready(self, child: Child) -> None:
        """A node writes one line when it serves."""
        stdout = child.process.stdout
        try:
            async with asyncio.timeout(START_TIMEOUT):
                line = await stdout.readline() if stdout is not None else b""
        except TimeoutError as error:
            raise StartFailed(f"{child.name} was not ready in {START_TIMEOUT:.0f} s") from error
        if not line:
            raise StartFailed(f"{child.name} could not start")

    async def _watch(self, child: Child) -> None:
        status = await child.process.wait()
        how = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        self._say(f"{child.name} (pid {child.process.pid}) is gone: {how}; it is not started again")


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    _signal(process, signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_TIMEOUT):
            await process.wait()
    except TimeoutError:
        _signal(process, signal.SIGKILL)
        await process.wait()


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Not by the process's own methods: they may take the exit status away from asyncio, which warns then."""
    with suppress(ProcessLookupError):
        os.kill(process.pid, number)
