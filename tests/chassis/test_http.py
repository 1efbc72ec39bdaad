"""The HTTP server without a service."""

import asyncio

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from chassis.runtime.http import HttpServer
from deploy.local.ports import HOST, free_port

CLIENT_KEEPS_IDLE_CONNECTION_S = 5.5
"""httpx and other clients keep an idle connection for five seconds."""


async def test_the_server_keeps_idle_connections_longer_than_clients_do() -> None:
    async def hello(_: object) -> PlainTextResponse:
        return PlainTextResponse("hello")

    port = free_port()
    server = HttpServer(Starlette(routes=[Route("/", hello)]), HOST, port)
    serving = asyncio.create_task(server.run())
    reader, writer = await asyncio.open_connection(HOST, port)
    for pause_s in (0.0, CLIENT_KEEPS_IDLE_CONNECTION_S):
        await asyncio.sleep(pause_s)
        writer.write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        async with asyncio.timeout(5):
            assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200")
    writer.close()
    server.stop()
    await serving
