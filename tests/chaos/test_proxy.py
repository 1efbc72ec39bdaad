"""Every fault of the proxy that failure tests use has its documented effect on connections."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from deploy.local.ports import HOST
from tests.chaos.proxy import Proxy
from tests.process import until

pytestmark = pytest.mark.timeout(30)

SHORT_S = 0.3


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    """A proxy in front of a server that sends back all data."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1000):
                writer.write(data)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(echo, HOST, 0)
    made = Proxy(server.sockets[0].getsockname()[1]).start()
    yield made
    made.stop()
    server.close()


class Client:
    """One connection through the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, proxy: Proxy) -> "Client":
        return cls(*await asyncio.open_connection(HOST, proxy.port))

    async def send(self, text: bytes, within_s: float = 5) -> bytes:
        """Send data and return the same number of bytes of the response."""
        self.writer.write(text)
        return await self.receive(len(text), within_s)

    async def receive(self, size: int, within_s: float = 5) -> bytes:
        async with asyncio.timeout(within_s):
            return await self.reader.readexactly(size)


async def test_data_and_the_end_of_a_connection_pass_in_both_directions(proxy: Proxy) -> None:
    client = await Client.connect(proxy)
    assert await client.send(b"x" * 1_000_000) == b"x" * 1_000_000
    client.writer.write_eof()
    assert await client.reader.read() == b""
    await until(lambda: _none_left(proxy), "the proxy has no connection")


async def test_a_delay_delays_data_until_the_proxy_is_healed(proxy: Proxy) -> None:
    client = await Client.connect(proxy)
    proxy.delay(SHORT_S)
    sent_at = time.monotonic()
    await client.send(b"late")
    assert time.monotonic() - sent_at >= 2 * SHORT_S
    proxy.heal()
    assert await client.send(b"prompt", SHORT_S) == b"prompt"


async def test_a_stalled_connection_hangs_without_closing_and_continues_when_healed(proxy: Proxy) -> None:
    client = await Client.connect(proxy)
    await client.send(b"before")
    proxy.stall()
    with pytest.raises(TimeoutError):
        await client.send(b"during", SHORT_S)
    newcomer = await Client.connect(proxy)
    with pytest.raises(TimeoutError):
        await newcomer.send(b"new", SHORT_S)
    assert not client.reader.at_eof()
    proxy.heal()
    assert await client.receive(6) == b"during"
    assert await newcomer.receive(3) == b"new"


async def test_a_reset_ends_open_connections_with_an_error_and_accepts_new_connections(proxy: Proxy) -> None:
    clients = [await Client.connect(proxy) for _ in range(3)]
    for client in clients:
        await client.send(b"hello")
    proxy.reset()
    for client in clients:
        with pytest.raises(ConnectionResetError):
            await client.receive(1)
    assert await (await Client.connect(proxy)).send(b"again") == b"again"


async def test_a_stalled_connection_can_be_reset(proxy: Proxy) -> None:
    client = await Client.connect(proxy)
    await client.send(b"hello")
    proxy.stall()
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        await client.receive(1)


async def test_new_connections_are_refused_while_open_connections_continue(proxy: Proxy) -> None:
    client = await Client.connect(proxy)
    await client.send(b"hello")
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        await Client.connect(proxy)
    assert await client.send(b"still here") == b"still here"
    proxy.heal()
    assert await (await Client.connect(proxy)).send(b"again") == b"again"


async def test_a_connection_is_cut_after_a_number_of_bytes_and_not_before(proxy: Proxy) -> None:
    client = await Client.connect(proxy)
    await client.send(b"hello")
    proxy.cut_after(100)
    assert await client.send(b"x" * 40) == b"x" * 40
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await client.send(b"y" * 40)
    newcomer = await Client.connect(proxy)
    assert await newcomer.send(b"z" * 40) == b"z" * 40
    proxy.heal()
    assert await newcomer.send(b"w" * 1000) == b"w" * 1000


async def _none_left(proxy: Proxy) -> bool | None:
    return True if proxy.connections == 0 else None
