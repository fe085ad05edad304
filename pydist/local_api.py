"""What a node asks of tailscaled: HTTP over its Unix socket, one connection for each question.

The answer is read here, with a limit and a deadline for the whole, until tailscaled closes the connection; what it
means as HTTP is left to Python's own `http.client`, which never sees a socket (docs/adr/0011). Source: Tailscale's Go
packages `client/local` and `ipn/localapi`.
"""

from __future__ import annotations

import asyncio
import socket
from http.client import HTTPException, HTTPResponse
from io import BytesIO
from typing import Final, cast
from urllib.parse import urlencode

from pydist.errors import DecodeError, TailscaleError
from pydist.wire.local_api import Caller, Tailnet, decode_status, decode_whois

SOCKET: Final = "/var/run/tailscale/tailscaled.sock"
"""Where tailscaled listens on Linux."""
HOST: Final = "local-tailscaled.sock"
"""tailscaled takes no request for another host."""
TIMEOUT: Final = 5.0
"""Seconds for one question and its answer."""
ANSWER_LIMIT: Final = 8 * 1024 * 1024
"""Bytes of an answer: some thousands of machines."""
AT_ONCE: Final = 16
"""Questions under way at a time; others wait, and their waiting counts."""


class LocalApi:
    """The LocalAPI of the tailscaled whose socket is at `path`. `timeout` is seconds for each question as a whole."""

    def __init__(self, path: str = SOCKET, *, timeout: float = TIMEOUT, answer_limit: int = ANSWER_LIMIT) -> None:
        self.path = path
        self._timeout = timeout
        self._answer_limit = answer_limit
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def status(self, *, peers: bool = True) -> Tailnet:
        """How tailscaled stands; with all machines that it knows, or with none of them.

        Raises:
            TailscaleError: it can't be asked, does not answer in time, or what it answers makes no sense.
        """
        question = "/localapi/v0/status" + ("" if peers else "?peers=false")
        status, body = await self._get(question)
        if status != 200:
            raise self._refused(question, status, body)
        try:
            return decode_status(body)
        except DecodeError as error:
            raise self._nonsense(question, error) from error

    async def whois(self, host: str, port: int = 0) -> Caller | None:
        """Who has opened the connection from `host`:`port`; None if that is no machine of the tailnet.

        The port says something only where tailscaled has no network interface, and connections come from 127.0.0.1.

        Raises:
            TailscaleError: as `status` does.
        """
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        question = "/localapi/v0/whois?" + urlencode({"addr": address})
        status, body = await self._get(question)
        if status == 404:
            return None
        if status != 200:
            raise self._refused(question, status, body)
        try:
            return decode_whois(body)
        except DecodeError as error:
            raise self._nonsense(question, error) from error

    async def _get(self, question: str) -> tuple[int, bytes]:
        try:
            async with asyncio.timeout(self._timeout), self._turns:
                answer = await self._exchange(question)
        except TimeoutError:
            raise TailscaleError(
                f"tailscaled at {self.path} did not answer {question} within {self._timeout:g} s: "
                "look what it does (journalctl -u tailscaled), and start it anew if it hangs"
            ) from None
        except OSError as error:
            raise TailscaleError(self._no_way(error)) from error
        try:
            return _read(answer)
        except (HTTPException, ValueError) as error:
            raise self._nonsense(question, error) from error

    async def _exchange(self, question: str) -> bytes:
        """All that is answered until the end of the connection."""
        reader, writer = await asyncio.open_unix_connection(self.path)
        try:
            writer.write(f"GET {question} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
            answer = bytearray()
            while piece := await reader.read(1 << 16):
                answer += piece
                if len(answer) > self._answer_limit:
                    raise TailscaleError(
                        f"tailscaled at {self.path} answers {question} with more than {self._answer_limit} bytes: "
                        "that is no tailscaled, or the tailnet is larger than pydist has foreseen"
                    )
            return bytes(answer)
        finally:
            writer.transport.abort()

    def _no_way(self, error: OSError) -> str:
        match error:
            case FileNotFoundError():
                help_ = "is Tailscale installed, and tailscaled running? Where its socket is elsewhere, name it"
            case ConnectionRefusedError():
                help_ = "tailscaled has ended: start it (systemctl start tailscaled)"
            case PermissionError():
                help_ = "this user may not use it"
            case _:
                help_ = "is that tailscaled?"
        return f"no answer from tailscaled at {self.path}: {error.strerror or error}; {help_}"

    def _refused(self, question: str, status: int, body: bytes) -> TailscaleError:
        says = body[:200].decode("utf-8", "replace").strip()
        return TailscaleError(f"tailscaled at {self.path} answers {question} with status {status}: {says!r}")

    def _nonsense(self, question: str, error: Exception) -> TailscaleError:
        why = str(error)[:200] or type(error).__name__
        return TailscaleError(
            f"what tailscaled at {self.path} answers to {question} makes no sense ({why}): is that tailscaled?"
        )


class _Received:
    """Bytes that have come, in the place of a socket."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> BytesIO:
        return BytesIO(self._data)


def _read(answer: bytes) -> tuple[int, bytes]:
    """Status and body of an HTTP response. Raises HTTPException, ValueError."""
    response = HTTPResponse(cast("socket.socket", _Received(answer)))
    response.begin()
    return response.status, response.read()
