from __future__ import annotations

import asyncio

import pytest

from pydist import epmd_client
from pydist.epmd import main
from pydist.epmd_server import Server
from pydist.epmd_sockets import listen, listen_also
from pydist.errors import PortInUse, PortMapperError
from pydist.underlay.border import Border
from pydist.underlay.loopback import LoopbackUnderlay


class Narrow(LoopbackUnderlay):
    """Nothing but 127.0.0.3 is of it."""

    def contains(self, address: str) -> bool:
        return address == "127.0.0.3"


def _foreign(transport: asyncio.BaseTransport) -> tuple[str, bool]:
    """Where it comes from, as if that were another host."""
    return f"{transport.get_extra_info('peername')[0]}:1", False


async def test_a_port_mapper_closes_on_who_is_of_no_underlay_and_answers_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # All that a test can come from is loopback, which is this host: so one of its addresses plays a foreign one.
    monkeypatch.setattr("pydist.epmd_server._ends", _foreign)
    border = Border(Narrow("127.0.0.3"), asyncio.get_running_loop().time)
    server = Server(listen([], 0), border=border)
    await server.start()
    answers: list[int] = []
    for source in ("127.0.0.9", "127.0.0.3"):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, local_addr=(source, 0))
        writer.write(b"\0\1n")
        try:
            answers.append(len(await reader.read()))
        except ConnectionResetError:
            answers.append(0)
        writer.close()
    await server.stop()
    assert (answers, border.refused, server.connections) == ([0, 4], 1, {})


async def test_a_port_mapper_can_listen_at_one_address_more_and_leave_it() -> None:
    server = Server(listen([], 0))
    await server.start()
    await server.listen_at(listen_also("127.0.0.5", server.port))
    assert await epmd_client.names("127.0.0.5", server.port) == []
    with pytest.raises(PortInUse):
        listen_also("127.0.0.5", server.port)
    server.leave("127.0.0.5")
    server.leave("127.0.0.6")
    with pytest.raises(PortMapperError):
        await epmd_client.names("127.0.0.5", server.port)
    assert await epmd_client.names("127.0.0.1", server.port) == []
    await server.stop()


@pytest.mark.parametrize("address", ["8.8.8.8", "2a00::1"])
def test_a_public_address_is_refused_without_the_flag(address: str) -> None:
    with pytest.raises(PortMapperError, match="is a public address, and anybody could ask there"):
        listen([address], 0)


def test_an_underlay_that_is_none_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--underlay", "ethernet"]) == 1
    assert (
        "'ethernet' is no underlay: there are loopback, tailscale, wireguard and wireguard:INTERFACE"
        in capsys.readouterr().err
    )
