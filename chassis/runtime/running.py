"""Runs a service, and stops it: it takes no new input, finishes what it has taken, and publishes the events."""

import asyncio
import contextlib
import gc
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import structlog

from chassis.batcher import Batcher
from chassis.clock import Clock
from chassis.consumer.stops import Stops
from chassis.database.dead_owners import run_freeing
from chassis.database.pool import Database
from chassis.database.presence import Presence
from chassis.kafka_clients import client_options
from chassis.limits import (
    DRAIN_S,
    REQUEST_PACE_S,
    REQUEST_TRANSACTIONS_AT_ONCE,
    STOP_AT_MOST_S,
    STOP_GRACE_S,
)
from chassis.observability.health import Health
from chassis.operations.performing import Performer, answers_of, rules_of
from chassis.outbox.outbox import Outbox
from chassis.processor.model import Input, Outcome
from chassis.processor.processor import Processor
from chassis.runtime.consumers import Consumers
from chassis.runtime.http import HttpServer
from chassis.runtime.retention import run_retention
from chassis.runtime.side_tasks import SideTasks
from chassis.runtime.waiting import WaitingMeter
from chassis.service import Runtime, Service
from chassis.settings import KafkaSettings
from chassis.timers import TimerTask
from chassis.work.unknown import park_unknown_kinds
from chassis.work.worker import Worker

log = structlog.get_logger(__name__)

Tasks = Sequence[asyncio.Task[None]]


async def run(service: Service, kafka: KafkaSettings, clock: Clock, program: str) -> None:
    """Run a service until SIGTERM or SIGINT. Raises the error of a component that failed.

    `program`: the service's command line, such as `python -m services.intake`; health names its commands.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    # Objects that exist by now stay: collecting them again and again took a tenth of a service's time. A batch makes
    # thousands of objects and drops nearly all of them, so young objects are collected less often.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await _RunningService(service, kafka, clock, program).run(stop)


class _RunningService:
    def __init__(self, service: Service, kafka: KafkaSettings, clock: Clock, program: str) -> None:
        self._service = service
        url = service.settings.database_url.get_secret_value()
        self._database = Database(url, name=service.name)
        self._presence = Presence(url, service.name)
        self._outbox = Outbox(self._database, self._presence, client_options(kafka))
        self._processor = Processor(
            self._database,
            self._outbox,
            self._presence,
            clock,
            source=f"/truce/{service.name}",
            rules=(*service.rules, *rules_of(service.operations, service.name)),
            produces={**service.produces, **answers_of(service.operations)},
        )
        self._stops = Stops(self._database)
        self._consumers = Consumers(service, self._processor, self._stops, kafka)
        self._performer = Performer(
            service.operations,
            self._database,
            self._processor,
            self._consumers,
            self._stops,
            kafka,
            service.dead_letter,
        )
        self._workers = [Worker(work, self._database, self._processor, self._presence) for work in service.work]
        self._timers = {
            f"timer-{timer.name}": TimerTask(timer, self._database, self._processor, self._outbox, clock)
            for timer in service.timers
        }
        self._waiting = WaitingMeter(self._database, f"{program} waiting")
        self._side_tasks = SideTasks()
        self._requests = Batcher[Input, Outcome](
            self._processor.process, at_once=REQUEST_TRANSACTIONS_AT_ONCE, pace_s=REQUEST_PACE_S
        )
        self._runtime = Runtime(self._database, self._reply, clock, lambda: self._outbox.oldest_age_s)
        settings = service.settings
        self._admin = HttpServer(self._health().app(), settings.admin_host, settings.admin_port)
        self._public: list[HttpServer] = []
        if service.http is not None:
            self._public.append(HttpServer(service.http.app(self._runtime), service.http.host, service.http.port))

    async def run(self, stop: asyncio.Event) -> None:
        log.info("service_starting")
        stopping = asyncio.create_task(stop.wait())
        public = [asyncio.create_task(server.run()) for server in self._public]
        workers = [asyncio.create_task(worker.run()) for worker in self._workers]
        tasks = [stopping, *public, *workers, *self._background()]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopping}:
                log.critical("component_failed", exc_info=task.exception())
            log.info("service_stopping")
            # A process that neither works nor ends blocks its successor; a killed process loses nothing.
            asyncio.get_running_loop().call_later(STOP_AT_MOST_S, _end_process)
            await self._finish(public, workers)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._close()
        log.info("service_stopped")
        for task in done - {stopping}:
            task.result()
            raise RuntimeError("a component of the service ended by itself")

    def _background(self) -> list[asyncio.Future[Any]]:
        service, settings = self._service, self._service.settings
        # The process ends with any of these: without them it cannot be relied on.
        components = (
            self._admin.run(),
            self._presence.run(),
            self._outbox.run(),
            self._stops.run(),
            self._consumers.run(),
        )
        kinds = [work.kind for work in service.work]
        side_tasks: dict[str, Callable[[], Awaitable[None]]] = {
            "dead-owners": partial(run_freeing, self._database, self._presence),
            "retention": partial(run_retention, self._database, settings.inbox_kept_for, settings.work_kept_for),
            "unknown-work": partial(park_unknown_kinds, self._database, kinds),
            "waiting": self._waiting.run,
            "operations": self._performer.run,
            **self._outbox.side_tasks(),
            **{name: timer.run for name, timer in self._timers.items()},
            **{name: partial(run, self._runtime) for name, run in service.background.items()},
        }
        supervised = (self._side_tasks.run(name, task) for name, task in side_tasks.items())
        return [asyncio.ensure_future(component) for component in (*components, *supervised)]

    async def _finish(self, public: Tasks, workers: Tasks) -> None:
        """Stop taking anything new, finish what was taken, publish its events."""
        for server in self._public:
            server.stop()
        for worker in self._workers:
            worker.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_GRACE_S):
                await self._consumers.stop()
                if public:
                    await asyncio.wait(public)
                if workers:
                    await asyncio.wait(workers)
        await self._outbox.drain(DRAIN_S)

    async def _close(self) -> None:
        await self._consumers.leave()
        await self._outbox.close()
        for close in self._service.on_stop:
            await close()
        await self._presence.close()
        await self._database.close()

    async def _reply(self, item: Input) -> Any:
        outcome = await self._requests.submit(item)
        if outcome.error is not None:
            raise outcome.error
        return outcome.reply

    def _health(self) -> Health:
        health = Health(self._service.name)
        health.add_readiness("database", lambda: None if self._presence.id is not None else "no connection")
        health.add_readiness("publishing", self._outbox.not_ready_reason)
        health.add_readiness("consuming", self._consumers.not_ready_reason)
        for name, reason in self._service.readiness.items():
            health.add_readiness(name, reason)
        health.add_degradation("reading", self._consumers.degraded_reason)
        health.add_degradation("waiting", self._waiting.degraded_reason)
        health.add_degradation("tasks", self._side_tasks.degraded_reason)
        for name, timer in self._timers.items():
            health.add_degradation(name, timer.degraded_reason)
        for worker in self._workers:
            health.add_degradation(f"work-{worker.kind}", worker.degraded_reason)
        health.show_paused(self._consumers.paused)
        health.add_degradation("publishing", self._outbox.degraded_reason)
        health.add_liveness("progress", self._consumers.stuck_reason)
        return health


def _end_process() -> None:
    log.critical("stop_timed_out", after_s=STOP_AT_MOST_S)
    os._exit(1)
