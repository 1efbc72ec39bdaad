"""Runs a service, and stops it: it takes no new input, finishes what it has taken, and publishes the events."""

import asyncio
import contextlib
import gc
import os
import signal
import time
from collections.abc import Sequence
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
    UNDELIVERED_ALARM_S,
)
from chassis.observability.health import Health
from chassis.operations.performing import Performer, answers_of, rules_of
from chassis.outbox.outbox import Outbox
from chassis.processor.model import Input, Outcome
from chassis.processor.processor import Processor
from chassis.runtime.consumers import Consumers
from chassis.runtime.http import HttpServer
from chassis.runtime.retention import run_retention
from chassis.service import Runtime, Service
from chassis.settings import KafkaSettings
from chassis.timers import run_timer
from chassis.work.worker import Worker

log = structlog.get_logger(__name__)

Tasks = Sequence[asyncio.Task[None]]


async def run(service: Service, kafka: KafkaSettings, clock: Clock) -> None:
    """Run a service until SIGTERM or SIGINT. Raises the error of a component that failed."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    # Objects that exist by now stay: collecting them again and again took a tenth of a service's time. A batch makes
    # thousands of objects and drops nearly all of them, so young objects are collected less often.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await _RunningService(service, kafka, clock).run(stop)


class _RunningService:
    def __init__(self, service: Service, kafka: KafkaSettings, clock: Clock) -> None:
        self._service = service
        self._clock = clock
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
        components = (
            self._admin.run(),
            self._presence.run(),
            run_freeing(self._database, self._presence),
            self._outbox.run(),
            self._stops.run(),
            self._consumers.run(),
            self._performer.run(),
            run_retention(self._database, settings.inbox_kept_for, settings.work_kept_for),
            *(run_timer(timer, self._database, self._processor, self._outbox, self._clock) for timer in service.timers),
            *(run(self._runtime) for run in service.background),
        )
        return [asyncio.ensure_future(component) for component in components]

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
        health.add_readiness("publishing", self._publishing_reason)
        health.add_readiness("consuming", self._consumers.not_ready_reason)
        for name, reason in self._service.readiness.items():
            health.add_readiness(name, reason)
        health.add_degradation("reading", self._consumers.degraded_reason)
        health.add_liveness("progress", self._consumers.stuck_reason)
        return health

    def _publishing_reason(self) -> str | None:
        failing = self._outbox.failing_since
        if failing is not None:
            return f"Kafka has acknowledged no event for {time.monotonic() - failing:.0f} s"
        if self._outbox.oldest_age_s > UNDELIVERED_ALARM_S:
            return f"the oldest event was stored {self._outbox.oldest_age_s:.0f} s ago and is not published"
        return None


def _end_process() -> None:
    log.critical("stop_timed_out", after_s=STOP_AT_MOST_S)
    os._exit(1)
