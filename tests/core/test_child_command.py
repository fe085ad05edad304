from __future__ import annotations

import shlex

import pytest

from pydist.core.child_command import local_command, ssh_command


def test_a_local_child_is_started_without_a_shell() -> None:
    assert local_command(["nice", "python3"], ["-X", "dev"]) == [
        "nice",
        "python3",
        "-X",
        "dev",
        "-m",
        "pydist.child_node",
    ]


def test_the_users_options_of_ssh_come_first_and_nobody_is_asked() -> None:
    command = ssh_command(["me@host", "-p", "2222"], ["python3"], [], None, 2.5, python_here="python")
    assert command[0] == "python"
    assert command[5:8] == ["ssh", "-p", "2222"]
    assert command[-5:] == ["-o", "ConnectTimeout=3", "--", "me@host", "exec python3 -m pydist.child_node"]
    assert "BatchMode=yes" in command


def test_every_argument_is_one_argument_to_the_shell_there() -> None:
    nasty = ["a b", "$(reboot)", "'; reboot #", "new\nline"]
    remote = ssh_command(["host"], ["my python"], nasty, "/it's here", 1.0, python_here="python")[-1]
    assert shlex.split(remote) == ["cd", "/it's here", "&&", "exec", "my python", *nasty, "-m", "pydist.child_node"]


@pytest.mark.parametrize("destination", ["", "-oProxyCommand=reboot"])
def test_an_option_is_no_destination(destination: str) -> None:
    with pytest.raises(ValueError, match="begins with the destination"):
        ssh_command([destination], ["python3"], [], None, 1.0, python_here="python")
