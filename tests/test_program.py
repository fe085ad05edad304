from __future__ import annotations

import signal

import pytest

from pydist import NodeStartError, receive, run


async def test_run_is_not_for_where_an_event_loop_runs_already() -> None:
    async def main() -> None:
        """Never begins."""

    with pytest.raises(NodeStartError, match=r"in a process use spawn\(\) or a plain await, in asyncio code `Node`"):
        run(main)


def test_ctrl_c_ends_run_as_it_ends_any_program() -> None:
    async def main() -> None:
        signal.raise_signal(signal.SIGINT)
        await receive()

    with pytest.raises(KeyboardInterrupt) as caught:
        run(main)
    assert caught.value.__suppress_context__


def test_an_option_that_a_node_does_not_have_is_named() -> None:
    async def main() -> None:
        """Never begins."""

    with pytest.raises(TypeError, match="unexpected keyword argument 'cooky'"):
        run(main, cooky="secret")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # what is tested
