"""TCP servers that answer badly, in place of a provider."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def bad_peer(answer: bytes | None) -> AsyncIterator[str]:
    """The URL of a server that reads a request and writes the bytes `answer`; for None it answers nothing."""
    test_is_over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is None:
            await test_is_over.wait()
        else:
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    test_is_over.set()
    server.close()


def http(body: str, status: str = "200 OK") -> bytes:
    """The bytes of a complete HTTP response."""
    raw = body.encode()
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (status.encode(), len(raw), raw)
