"""A TCP proxy with faults. It runs in a thread of its own, so a test can switch faults from any thread."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from deploy.local.ports import HOST, free_port

T = TypeVar("T")
_CHUNK = 64 * 1024
_OPENING = 512
_RST = struct.pack("ii", 1, 0)


class Proxy:
    """Passes data between its own `port` and the port `target`, both on this machine.

    Faults apply to open and to new connections until `heal`.
    """

    def __init__(self, target: int, port: int | None = None) -> None:
        self.port = port or free_port()
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy {self.port}", daemon=True)
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._flowing = asyncio.Event()
        self._delay_s = 0.0
        self._budget: int | None = None

    def start(self) -> "Proxy":
        """Start listening."""
        self._thread.start()
        self._flowing.set()
        self._call(self._listen())
        return self

    def stop(self) -> None:
        """Reset all connections and end the thread."""
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def connections(self) -> int:
        """The number of open connections."""
        return len(self._links)

    def heal(self) -> None:
        """End all faults: pass delayed data at once, and accept new connections."""
        self._call(self._heal())

    def delay(self, seconds: float) -> None:
        """Delay all data by `seconds`, in both directions."""
        self._switch(lambda: setattr(self, "_delay_s", seconds))

    def stall(self) -> None:
        """Pass no data in either direction and close no connection. New connections are accepted and hang too."""
        self._switch(self._flowing.clear)

    def cut_after(self, size: int) -> None:
        """Reset every connection after `size` more bytes, both directions together."""
        self._switch(lambda: self._limit(size))

    def reset(self, but: bytes | None = None) -> None:
        """Reset every open connection on both sides. New connections are accepted.

        Connections whose client sent `but` in its first bytes are not reset.
        """
        self._switch(lambda: self._reset(but))

    def refuse(self) -> None:
        """Refuse new connections. Open connections continue."""
        self._call(self._stop_listening())

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def _switch(self, change: Callable[[], object]) -> None:
        async def switch() -> None:
            change()

        self._call(switch())

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, HOST, self.port, backlog=512)

    async def _stop_listening(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()

    async def _heal(self) -> None:
        self._delay_s, self._budget = 0.0, None
        for link in self._links:
            link.left = None
        self._flowing.set()
        await self._listen()

    def _limit(self, size: int) -> None:
        self._budget = size
        for link in self._links:
            link.left = size

    def _reset(self, but: bytes | None = None) -> None:
        for link in list(self._links):
            if but is None or but not in link.opening:
                link.reset()

    async def _end(self) -> None:
        await self._stop_listening()
        self._reset()
        tasks = [link.task for link in self._links]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        link = _Link(task, [writer], self._budget)
        self._links.add(link)
        try:
            await self._flowing.wait()
            target_reader, target_writer = await asyncio.open_connection(HOST, self._target)
            link.writers.append(target_writer)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, target_writer, link, from_client=True))
                group.create_task(self._pass(target_reader, writer, link))
        except* (OSError, _Cut):
            link.reset()
        except* asyncio.CancelledError:
            pass
        finally:
            self._links.discard(link)
            for open_writer in link.writers:
                open_writer.close()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: "_Link", *, from_client: bool = False
    ) -> None:
        while data := await reader.read(_CHUNK):
            if from_client and len(link.opening) < _OPENING:
                link.opening += data
            if self._delay_s:
                await asyncio.sleep(self._delay_s)
            await self._flowing.wait()
            writer.write(data if link.left is None else data[: link.left])
            await writer.drain()
            if link.left is not None:
                link.left -= len(data)
                if link.left <= 0:
                    raise _Cut
        await self._flowing.wait()
        with contextlib.suppress(OSError):
            writer.write_eof()


class _Cut(Exception):
    """The connection has carried its limit of bytes."""


class _Link:
    """One connection through the proxy.

    `left` is the number of bytes until its reset, None without a limit. `opening` has the first bytes of its client.
    """

    def __init__(self, task: "asyncio.Task[None]", writers: list[asyncio.StreamWriter], left: int | None) -> None:
        self.task = task
        self.writers = writers
        self.left = left
        self.opening = b""

    def reset(self) -> None:
        for writer in self.writers:
            with contextlib.suppress(OSError):
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
            writer.transport.abort()
