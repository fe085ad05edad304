"""The command that starts the program of a child node, on this host or by ssh.

Nothing secret stands in it: whoever can list the processes of a host can read it.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from typing import Final

MODULE: Final = "pydist.child_node"

SSH_OPTIONS: Final = (
    *("-T", "-x", "-a"),  # no terminal, and nothing of ours that the other host could use
    *("-o", "BatchMode=yes"),  # nobody is there to be asked
    *("-o", "ServerAliveInterval=5"),
    *("-o", "ServerAliveCountMax=3"),
)

_DIES_WITH_ITS_STARTER: Final = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9)
try:
    os.execvp(sys.argv[1], sys.argv[1:])
except OSError as error:
    sys.exit(f"{sys.argv[1]} can't be run: {error.strerror}")
"""
"""An ssh client goes on when its input ends, as long as the child does; so the system is to kill it (PR_SET_PDEATHSIG).
That closes the connection, and with it ends all at the other end."""


def local_command(python: Sequence[str], python_args: Sequence[str]) -> list[str]:
    """Arguments for the system, which no shell reads."""
    return [*python, *python_args, "-m", MODULE]


def ssh_command(
    ssh: Sequence[str],
    python: Sequence[str],
    python_args: Sequence[str],
    cwd: str | None,
    timeout: float,
    *,
    python_here: str,
) -> list[str]:
    """The same, run by the user's shell on the other host: each argument is quoted for it.

    Args:
        ssh: where to, and options of the ssh client; those count before ours.
        python: the interpreter there.
        python_args: its arguments.
        cwd: the directory there to start in; None for the user's home.
        timeout: seconds that the connection may take.
        python_here: an interpreter on this host.
    """
    destination, *options = ssh
    if not destination or destination.startswith("-"):
        raise ValueError(f"ssh begins with the destination, as in ['user@host', '-p', '22'], not with {destination!r}")
    program = f"exec {shlex.join(local_command(python, python_args))}"
    remote = program if cwd is None else f"cd {shlex.quote(cwd)} && {program}"
    wait = f"ConnectTimeout={max(1, math.ceil(timeout))}"
    client = ["ssh", *options, *SSH_OPTIONS, "-o", wait, "--", destination, remote]
    return [python_here, "-I", "-S", "-c", _DIES_WITH_ITS_STARTER, *client]
