"""The port: where it may be, and how its connections behave."""

from __future__ import annotations

import asyncio
import socket

import pytest

from exporter.app import _listen
from exporter.errors import ConfigError


def test_answers_leave_at_once_instead_of_waiting_for_more() -> None:
    async def delays() -> bool:
        accepted: asyncio.Queue[asyncio.BaseTransport] = asyncio.Queue()

        class Taking(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                accepted.put_nowait(transport)

        listening = _listen("127.0.0.1:0")
        server = await asyncio.get_running_loop().create_server(Taking, sock=listening)
        async with server:
            _, client = await asyncio.open_connection(*listening.getsockname())
            transport = await accepted.get()
            quick = transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            transport.close()
            client.close()
            await client.wait_closed()
        return not quick

    assert not asyncio.run(delays())


@pytest.mark.parametrize("address", ["localhost", "localhost:http", ":70000", "", "[::1]"])
def test_an_address_that_is_none_is_refused_with_a_sentence(address: str) -> None:
    with pytest.raises(ConfigError, match=r"--web\.listen-address: .* is not HOST:PORT"):
        _listen(address)
