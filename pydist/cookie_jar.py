"""The cookies of a node: those it was given, and those of a file, which is read again when it has changed.

As Erlang does (`auth.erl`): without a cookie the file in the user's home is taken, and made with a random cookie where
there is none. A file that others can read holds no secret, and is refused. Beyond Erlang, the file may hold two
cookies, one a line, and is looked at before each handshake, so that a cluster moves to a new one without a restart.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias

from pydist.core.cookies import Cookies
from pydist.errors import NodeStartError
from pydist.own_log import log
from pydist.terms import NodeName
from pydist.wire.handshake import COOKIE_LIMIT

FILE_LIMIT: Final = 4096
"""The most bytes that a cookie file may have."""

Entropy: TypeAlias = Callable[[int], bytes]
_Version: TypeAlias = tuple[int, ...]


class CookieJar:
    """Call it for the cookies that count now.

    `cookie` is the one for all nodes but those in `by_node`; None for those in `file`, and with no `file` in the one in
    the user's home.

    Raises:
        NodeStartError: a cookie is empty, or there are a cookie and a file.
        BadNodeName: a key of `by_node` is no node name.
    """

    def __init__(
        self,
        cookie: str | None,
        by_node: Mapping[str, str] | None,
        file: str | os.PathLike[str] | None,
        entropy: Entropy,
    ) -> None:
        if cookie is not None and file is not None:
            raise NodeStartError("a node has a cookie or a cookie_file, not both")
        self._by_node: dict[str, tuple[bytes, ...]] = {}
        for node, its_own in (by_node or {}).items():
            self.set(node, its_own)
        self._file = None if file is None else Path(file)
        self._in_home = cookie is None and file is None
        self._entropy = entropy
        self._version: _Version = ()
        self._cookies = Cookies(() if cookie is None else (_given(cookie),), self._by_node)

    def open(self) -> None:
        """Read the file, if the cookie is to come from one; make the one in the user's home where it is missing.

        Raises:
            NodeStartError: that can't be done; the text says what to do.
        """
        if self._in_home:
            self._file = _home() / ".pydist.cookie"
            if not self._file.exists():
                _make(self._file, self._entropy(32).hex())
        if self._file is not None:
            self._read(self._file, _version(self._file))

    def __call__(self) -> Cookies:
        """Looks whether the file has changed. Where it can't be read, or makes no sense, the former cookies count."""
        if self._file is not None:
            version: _Version = ()
            try:
                version = _version(self._file)
                if version != self._version:
                    self._read(self._file, version)
                    log.info("cookie_file_read", file=str(self._file), cookies=len(self._cookies.shared))
            except NodeStartError as error:
                self._complain(version, str(error))
        return self._cookies

    def set(self, node: str, cookie: str | None) -> None:
        """From now on, `node` and this one have a cookie of their own; None takes that back."""
        NodeName.parse(node)
        if cookie is None:
            self._by_node.pop(node, None)
        else:
            self._by_node[node] = (_given(cookie),)

    def _read(self, file: Path, version: _Version) -> None:
        self._cookies = Cookies(_cookies_in(file), self._by_node)
        self._version = version

    def _complain(self, version: _Version, reason: str) -> None:
        """Once for each version of the file."""
        if version != self._version:
            self._version = version
            log.error("cookie_file_unusable", file=str(self._file), reason=reason)


def _given(cookie: object) -> bytes:
    if type(cookie) is not str:
        raise NodeStartError(f"a cookie is a str, this is of the type {type(cookie).__name__}")
    if not cookie:
        raise NodeStartError("the cookie is empty: anybody could connect")
    return cookie.encode()


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:
        raise NodeStartError(f"there is no home for a cookie file ({error}): give the node a cookie") from error


def _make(file: Path, cookie: str) -> None:
    """Atomically: of two nodes that start at once, one makes the file, and both read it."""
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        with os.fdopen(descriptor, "w") as opened:
            opened.write(cookie + "\n")
        with suppress(FileExistsError):
            os.link(draft, file)
            log.info("cookie_file_made", file=str(file))
        draft.unlink()
    except OSError as error:
        raise NodeStartError(f"no cookie was given, and {file} can't be made: {error.strerror}") from error


def _version(file: Path) -> _Version:
    """Another one after each change of the file."""
    try:
        found = file.stat()
    except OSError as error:
        raise NodeStartError(f"the cookie file {file} can't be read: {error.strerror}") from error
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_mode


def _cookies_in(file: Path) -> tuple[bytes, ...]:
    try:
        # Not to wait for who writes to a pipe: the whole node would.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            mode = os.fstat(descriptor).st_mode
            text = os.read(descriptor, FILE_LIMIT + 1) if stat.S_ISREG(mode) else b""
        finally:
            os.close(descriptor)
    except OSError as error:
        raise NodeStartError(f"the cookie file {file} can't be read: {error.strerror}") from error
    if not stat.S_ISREG(mode):
        raise NodeStartError(f"the cookie file {file} can't be read: it is no regular file")
    if stat.S_IMODE(mode) & 0o077:
        raise NodeStartError(f"others may read or write the cookie file {file}: chmod 600 {file}")
    cookies = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not 0 < len(cookies) <= COOKIE_LIMIT or len(text) > FILE_LIMIT:
        raise NodeStartError(
            f"the cookie file {file} holds one cookie, or two while the cluster changes it: each on a line, the new "
            f"one first, and at most {FILE_LIMIT} bytes. This one has {len(text)} bytes and {len(cookies)} lines"
        )
    return cookies
