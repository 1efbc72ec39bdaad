"""The HTTP server by itself."""

import asyncio

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from chassis.runtime.http import HttpServer
from deploy.local.ports import HOST, free_port

LONGEST_IDLE_OF_A_CLIENT_S = 5.5
"""httpx and many others keep an idle connection for five seconds."""


async def test_a_connection_that_a_client_still_keeps_is_still_answered() -> None:
    async def hello(_: object) -> PlainTextResponse:
        return PlainTextResponse("hello")

    port = free_port()
    server = HttpServer(Starlette(routes=[Route("/", hello)]), HOST, port)
    serving = asyncio.create_task(server.run())
    reader, writer = await asyncio.open_connection(HOST, port)
    for pause_s in (0.0, LONGEST_IDLE_OF_A_CLIENT_S):
        await asyncio.sleep(pause_s)
        writer.write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        async with asyncio.timeout(5):
            assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200")
    writer.close()
    server.stop()
    await serving
