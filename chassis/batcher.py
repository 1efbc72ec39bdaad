"""Single requests that share one round trip: while one is under way, the next gathers."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Batcher(Generic[T, R]):
    """`run` gets up to `limit` items and answers them in order; what it raises is raised to each who asked.

    `at_once` groups may be under way. They begin as far apart as one takes, or `pace_s`: nobody waits who comes alone,
    and those who come in crowds share.
    """

    def __init__(
        self,
        run: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        *,
        limit: int = 500,
        at_once: int = 1,
        pace_s: float = 0.0,
    ) -> None:
        self._run = run
        self._limit = limit
        self._pace_s = pace_s
        self._slots = asyncio.Semaphore(at_once)
        self._began = 0.0
        self._took_s = 0.0
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._gathering = False
        self._groups: set[asyncio.Task[None]] = set()

    async def submit(self, item: T) -> R:
        """The answer for one item."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        self._gather()
        return await future

    def _gather(self) -> None:
        if self._waiting and not self._gathering:
            self._gathering = True
            group = asyncio.create_task(self._group())
            self._groups.add(group)
            group.add_done_callback(self._groups.discard)

    async def _group(self) -> None:
        # At least one turn of the loop: whoever asks in it comes along.
        await asyncio.sleep(self._began + min(self._pace_s, self._took_s) - time.monotonic())
        async with self._slots:
            self._began = began = time.monotonic()
            group = [self._waiting.popleft() for _ in range(min(self._limit, len(self._waiting)))]
            self._gathering = False
            self._gather()
            try:
                answers = await self._run([item for item, _ in group])
            except Exception as error:
                for _, future in group:
                    if not future.done():
                        future.set_exception(error)
            else:
                self._took_s = time.monotonic() - began
                for (_, future), answer in zip(group, answers, strict=True):
                    if not future.done():
                        future.set_result(answer)
