"""Batcher: concurrent single requests share a transaction."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Batcher(Generic[T, R]):
    """Collects items of concurrent callers into batches for `run`.

    `run` gets at most `limit` items and returns their results in the same order; an exception of `run` is raised to
    every caller of the batch. At most `at_once` batches run at the same time. Batches start at least as far apart as
    the last batch took, and at most `pace_s` seconds apart: a lone request is not delayed, concurrent requests share
    a batch.
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
        self._started_at = 0.0
        self._took_s = 0.0
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._collecting = False
        self._batches: set[asyncio.Task[None]] = set()

    async def submit(self, item: T) -> R:
        """The result of one item. Raises what `run` raises."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        self._collect()
        return await future

    def _collect(self) -> None:
        if self._waiting and not self._collecting:
            self._collecting = True
            batch = asyncio.create_task(self._run_batch())
            self._batches.add(batch)
            batch.add_done_callback(self._batches.discard)

    async def _run_batch(self) -> None:
        # Sleeps for at least one turn of the event loop, in which further callers join the batch.
        await asyncio.sleep(self._started_at + min(self._pace_s, self._took_s) - time.monotonic())
        async with self._slots:
            self._started_at = started_at = time.monotonic()
            batch = [self._waiting.popleft() for _ in range(min(self._limit, len(self._waiting)))]
            self._collecting = False
            self._collect()
            try:
                results = await self._run([item for item, _ in batch])
            except Exception as error:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
            else:
                self._took_s = time.monotonic() - started_at
                for (_, future), result in zip(batch, results, strict=True):
                    if not future.done():
                        future.set_result(result)
