"""The proxy that failure tests rely on does to a connection what it says."""

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
    """Before a server that sends back whatever it gets."""

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


class Caller:
    """One connection through the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, proxy: Proxy) -> "Caller":
        return cls(*await asyncio.open_connection(HOST, proxy.port))

    async def say(self, text: bytes, within_s: float = 5) -> bytes:
        self.writer.write(text)
        return await self.hear(len(text), within_s)

    async def hear(self, size: int, within_s: float = 5) -> bytes:
        async with asyncio.timeout(within_s):
            return await self.reader.readexactly(size)


async def test_what_is_sent_passes_both_ways_and_a_close_does_too(proxy: Proxy) -> None:
    caller = await Caller.connect(proxy)
    assert await caller.say(b"x" * 1_000_000) == b"x" * 1_000_000
    caller.writer.write_eof()
    assert await caller.reader.read() == b""
    await until(lambda: _none_left(proxy), "the connection is forgotten")


async def test_a_delay_holds_every_answer_and_ends_when_healed(proxy: Proxy) -> None:
    caller = await Caller.connect(proxy)
    proxy.delay(SHORT_S)
    asked = time.monotonic()
    await caller.say(b"late")
    assert time.monotonic() - asked >= 2 * SHORT_S
    proxy.heal()
    assert await caller.say(b"prompt", SHORT_S) == b"prompt"


async def test_a_stalled_connection_hangs_without_closing_and_goes_on_where_it_was(proxy: Proxy) -> None:
    caller = await Caller.connect(proxy)
    await caller.say(b"before")
    proxy.stall()
    with pytest.raises(TimeoutError):
        await caller.say(b"during", SHORT_S)
    newcomer = await Caller.connect(proxy)
    with pytest.raises(TimeoutError):
        await newcomer.say(b"new", SHORT_S)
    assert not caller.reader.at_eof()
    proxy.heal()
    assert await caller.hear(6) == b"during"
    assert await newcomer.hear(3) == b"new"


async def test_a_reset_ends_open_connections_with_an_error_and_takes_new_ones(proxy: Proxy) -> None:
    callers = [await Caller.connect(proxy) for _ in range(3)]
    for caller in callers:
        await caller.say(b"hello")
    proxy.reset()
    for caller in callers:
        with pytest.raises(ConnectionResetError):
            await caller.hear(1)
    assert await (await Caller.connect(proxy)).say(b"again") == b"again"


async def test_a_stalled_connection_can_be_reset(proxy: Proxy) -> None:
    caller = await Caller.connect(proxy)
    await caller.say(b"hello")
    proxy.stall()
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        await caller.hear(1)


async def test_new_connections_are_refused_while_open_ones_go_on(proxy: Proxy) -> None:
    caller = await Caller.connect(proxy)
    await caller.say(b"hello")
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        await Caller.connect(proxy)
    assert await caller.say(b"still here") == b"still here"
    proxy.heal()
    assert await (await Caller.connect(proxy)).say(b"again") == b"again"


async def test_a_connection_is_cut_after_so_many_bytes_and_not_before(proxy: Proxy) -> None:
    caller = await Caller.connect(proxy)
    await caller.say(b"hello")
    proxy.cut_after(100)
    assert await caller.say(b"x" * 40) == b"x" * 40
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await caller.say(b"y" * 40)
    newcomer = await Caller.connect(proxy)
    assert await newcomer.say(b"z" * 40) == b"z" * 40
    proxy.heal()
    assert await newcomer.say(b"w" * 1000) == b"w" * 1000


async def _none_left(proxy: Proxy) -> bool | None:
    return True if proxy.connections == 0 else None
