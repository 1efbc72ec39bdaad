"""Peers that answer badly, whatever the protocol."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def bad_peer(answer: bytes | None) -> AsyncIterator[str]:
    """The URL of a provider that reads the request and says `answer`, or nothing for None."""
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is None:
            await over.wait()
        else:
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    over.set()
    server.close()


def http(body: str, status: str = "200 OK") -> bytes:
    """A whole answer."""
    raw = body.encode()
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (status.encode(), len(raw), raw)
