"""A service: what comes in, how it is decided, what goes out. And how all of it runs, and stops."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import time
from collections.abc import Sequence
from typing import Any

import structlog
from aiokafka.errors import KafkaError
from faststream.kafka import KafkaBroker
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512
from pydantic import BaseModel

from chassis.batcher import Batcher
from chassis.clock import Clock
from chassis.consumer.consumer import Consumer, Stalled, decode_events
from chassis.database.presence import Presence
from chassis.database.sql import Database
from chassis.observability.health import Health
from chassis.outbox.publisher import Publisher
from chassis.processor.processor import Input, Outcome, Processor
from chassis.runtime.http import HttpServer
from chassis.runtime.retention import run_retention
from chassis.service import Runtime, Service
from chassis.settings import KafkaSettings
from chassis.timers import run_timer
from chassis.work.worker import Worker

log = structlog.get_logger(__name__)

STOP_GRACE_S = 20.0
STOP_AT_MOST_S = 90.0
OVERDUE_S = 60.0
REQUEST_GROUPS = 2
REQUEST_PACE_S = 0.02
TOPICS_SEEN_WITHIN_MS = 20_000  # a portal's new topic is read by then


async def run(service: Service, kafka: KafkaSettings, clock: Clock) -> None:
    """Run until SIGTERM or SIGINT; then finish what is in hand. Raises what the service cannot live with."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    # What is loaded by now stays: looking through all of it for garbage again and again took a tenth of a service's
    # time. A batch makes thousands of objects and lets go of nearly all, so younger ones are looked at less often.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await _Running(service, kafka, clock).run(stop)


class _Running:
    def __init__(self, service: Service, kafka: KafkaSettings, clock: Clock) -> None:
        self._service = service
        self._kafka = kafka
        self._clock = clock
        url = service.settings.database_url.get_secret_value()
        self._database = Database(url, name=service.name)
        self._presence = Presence(url, service.name)
        self._publisher = Publisher(self._database, self._presence, client_options(kafka))
        self._processor = Processor(
            self._database,
            self._publisher,
            self._presence,
            clock,
            source=f"/truce/{service.name}",
            rules=service.rules,
            produces=service.produces,
        )
        self._requests = Batcher[Input, Outcome](self._processor.process, at_once=REQUEST_GROUPS, pace_s=REQUEST_PACE_S)
        self._workers = [Worker(work, self._database, self._processor, self._presence) for work in service.work]
        self._consumers: list[Consumer] = []
        self._broker: KafkaBroker | None = None
        self._servers = [self._admin_server()]
        self._runtime = Runtime(self._database, self._reply, clock, lambda: self._publisher.oldest_waiting_s)
        if service.http is not None:
            self._servers.append(HttpServer(service.http.app(self._runtime), service.http.host, service.http.port))

    async def run(self, stop: asyncio.Event) -> None:
        log.info("starting")
        settings = self._service.settings
        stopping = asyncio.create_task(stop.wait())
        servers = [asyncio.create_task(server.run()) for server in self._servers]
        workers = [asyncio.create_task(worker.run()) for worker in self._workers]
        background = [
            asyncio.ensure_future(work)
            for work in (
                self._presence.run(),
                self._publisher.run(),
                self._consume(),
                run_retention(self._database, settings.inbox_kept_for, settings.work_kept_for),
                *(
                    run_timer(timer, self._database, self._processor, self._publisher, self._clock)
                    for timer in self._service.timers
                ),
                *(run(self._runtime) for run in self._service.background),
            )
        ]
        try:
            done, _ = await asyncio.wait(
                [stopping, *servers, *workers, *background], return_when=asyncio.FIRST_COMPLETED
            )
            for task in done - {stopping}:
                log.critical("cannot go on", exc_info=task.exception())
            log.info("stopping")
            # A process that neither works nor ends is the worst; one that is killed loses nothing.
            asyncio.get_running_loop().call_later(STOP_AT_MOST_S, _end)
            await self._finish(servers, workers)
        finally:
            for task in [stopping, *servers, *workers, *background]:
                task.cancel()
            await asyncio.gather(stopping, *servers, *workers, *background, return_exceptions=True)
            await self._close()
        log.info("stopped")
        for task in done - {stopping}:
            task.result()
            raise RuntimeError("a part of the service ended by itself")

    async def _finish(self, servers: Sequence[asyncio.Task[None]], workers: Sequence[asyncio.Task[None]]) -> None:
        """Nothing new comes in; what came in is finished and leaves."""
        for server in self._servers[1:]:
            server.stop()
        for worker in self._workers:
            worker.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_GRACE_S):
                await asyncio.gather(*(consumer.stop() for consumer in self._consumers))
                if servers[1:]:
                    await asyncio.wait(servers[1:])
                if workers:
                    await asyncio.wait(workers)
        await self._publisher.drain(STOP_GRACE_S / 2)

    async def _close(self) -> None:
        await self._leave()
        await self._publisher.close()
        for close in self._service.on_stop:
            await close()
        await self._presence.close()
        await self._database.close()

    async def _reply(self, item: Input) -> Any:
        outcome = await self._requests.submit(item)
        if outcome.error is not None:
            raise outcome.error
        return outcome.reply

    async def _consume(self) -> None:
        """Read, for as long as the service runs; with a new client whenever the one at hand has gone silent."""
        while True:
            await self._join()
            try:
                async with asyncio.TaskGroup() as group:
                    for consumer in self._consumers:
                        group.create_task(consumer.run())
            except* Stalled as stalled:
                log.error("the Kafka client has gone silent, taking a new one", topics=str(stalled.exceptions[0]))
            await self._leave()

    async def _leave(self) -> None:
        broker, self._broker = self._broker, None
        if broker is not None:
            with contextlib.suppress(Exception):  # whatever it says, it is thrown away
                async with asyncio.timeout(STOP_GRACE_S / 2):
                    await broker.stop()

    async def _join(self) -> None:
        """Join the groups, for as long as it takes Kafka to answer."""
        delay = 0.2
        while True:
            broker = self._new_broker()
            consumers = self._new_consumers(broker)
            try:
                await broker.start()
                break
            except (KafkaError, OSError) as error:
                log.warning("Kafka does not answer", error=type(error).__name__)
                with contextlib.suppress(Exception):  # half started: whatever it says, it is thrown away
                    await broker.stop()
                await asyncio.sleep(delay)
                delay = min(delay * 2, 5.0)
        self._broker, self._consumers = broker, consumers
        log.info("consuming", topics=[consumer.name for consumer in consumers])

    def _new_broker(self) -> KafkaBroker:
        return KafkaBroker(
            self._kafka.bootstrap_servers,
            client_id=self._service.name,
            security=_security(self._kafka),
            allow_auto_create_topics=False,
            metadata_max_age_ms=TOPICS_SEEN_WITHIN_MS,
            graceful_timeout=STOP_GRACE_S,
            apply_types=False,
            logger=logging.getLogger("faststream"),
        )

    def _new_consumers(self, broker: KafkaBroker) -> list[Consumer]:
        service = self._service
        events: dict[str, list[type[BaseModel]]] = {}
        for rule in service.rules:
            if rule.topic is not None:
                events.setdefault(rule.topic, []).append(rule.body)
        consumers = []
        if events:
            models = [model for of_topic in events.values() for model in of_topic]
            consumers.append(
                Consumer(
                    broker,
                    self._processor,
                    group=service.name,
                    decode=decode_events(models),
                    dead_letter=service.dead_letter,
                    service=service.name,
                    poison_share=service.settings.poison_share,
                    instance=self._kafka.group_instance_id or None,
                    topics=tuple(events),
                )
            )
        consumers.extend(
            Consumer(
                broker,
                self._processor,
                group=f"{service.name}.requests",
                decode=external.decode,
                dead_letter=service.dead_letter,
                service=service.name,
                poison_share=service.settings.poison_share,
                # A static member that leads its group and comes back is not asked to look for topics made meanwhile
                # (KAFKA-13435), and a portal's new topic is just that.
                instance=None,
                pattern=external.pattern,
            )
            for external in service.external
        )
        return consumers

    def _admin_server(self) -> HttpServer:
        health = Health()
        health.add_ready("database", lambda: None if self._presence.id is not None else "no connection")
        health.add_ready("publishing", self._publishing)
        health.add_ready("consuming", self._consuming)
        for name, why_not in self._service.readiness.items():
            health.add_ready(name, why_not)
        health.add_live("progress", self._stuck)
        return HttpServer(health.app(), self._service.settings.admin_host, self._service.settings.admin_port)

    def _publishing(self) -> str | None:
        failing = self._publisher.failing_since
        if failing is not None:
            return f"events have not left for {time.monotonic() - failing:.0f} s"
        if self._publisher.oldest_waiting_s > OVERDUE_S:
            return f"the oldest event waits for {self._publisher.oldest_waiting_s:.0f} s"
        return None

    def _consuming(self) -> str | None:
        if not self._consumers:
            return "Kafka has not answered yet"
        return next((reason for consumer in self._consumers if (reason := consumer.unwell())), None)

    def _stuck(self) -> str | None:
        return next((reason for consumer in self._consumers if (reason := consumer.stuck())), None)


def _end() -> None:
    log.critical("does not stop by itself, ended", after_s=STOP_AT_MOST_S)
    os._exit(1)


def client_options(kafka: KafkaSettings) -> dict[str, Any]:
    """How any aiokafka client of ours connects."""
    from faststream.kafka.security import parse_security

    return {
        "bootstrap_servers": kafka.bootstrap_servers,
        "request_timeout_ms": 15_000,
        **parse_security(_security(kafka)),
    }


def _security(kafka: KafkaSettings) -> BaseSecurity:
    import ssl

    context = ssl.create_default_context(cafile=kafka.ssl_cafile) if kafka.security_protocol.endswith("SSL") else None
    if not kafka.security_protocol.startswith("SASL"):
        return BaseSecurity(ssl_context=context, use_ssl=context is not None)
    kinds = {"PLAIN": SASLPlaintext, "SCRAM-SHA-256": SASLScram256, "SCRAM-SHA-512": SASLScram512}
    return kinds[kafka.sasl_mechanism](
        username=kafka.sasl_username or "",
        password=kafka.sasl_password.get_secret_value() if kafka.sasl_password else "",
        ssl_context=context,
        use_ssl=context is not None,
    )
