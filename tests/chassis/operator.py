"""A person who looks at the health of the sample service, and orders operations."""

import json
import uuid
from typing import Any

import asyncpg
import httpx
from aiokafka import AIOKafkaProducer

from contracts.topics import OPERATION_RESULTS, OPERATIONS
from tests.chassis.harness import Harness, headers_for
from tests.process import until

SAMPLE = "tests.chassis.sample"
BY = ("--who", "olga", "--why", "портал исправил формат")


async def order(sample: Harness, *arguments: str, code: int = 0) -> dict[str, Any]:
    """Run `resume` or `skip` with `--json`, and return what it prints."""
    printed = await sample.command(SAMPLE, *arguments, *BY, "--json", code=code, SAMPLE_SUFFIX=sample.suffix)
    found: dict[str, Any] = json.loads(printed)
    return found


async def readiness(sample: Harness, instance: int = -1) -> httpx.Response:
    """The readiness of an instance, the last one by default."""
    async with httpx.AsyncClient(base_url=sample.instances[instance].admin) as client:
        return await client.get("/health/ready")


async def until_health(sample: Harness, text: str, instance: int = -1) -> str:
    """Wait until the health of an instance is degraded with a reason that holds `text`, and return the reason."""

    async def look() -> str | None:
        answer = await readiness(sample, instance)
        reason = str(answer.json().get("reasons", {}).get("reading", ""))
        return reason if answer.status_code == 200 and text in reason else None

    return await until(look, f"health says {text!r}")


async def until_healthy(sample: Harness, instance: int = -1) -> None:
    """Wait until an instance is ready, and its health has nothing to say of reading. Open letters keep it degraded."""

    async def look() -> bool | None:
        answer = await readiness(sample, instance)
        reasons = answer.json().get("reasons", {})
        return True if answer.status_code == 200 and "reading" not in reasons else None

    await until(look, "everything is read")


async def publish_bad(sample: Harness, numbers: range, partition: int | None = None) -> None:
    """Publish records that are not JSON; by default to the partition of the key `a`."""
    producer = AIOKafkaProducer(bootstrap_servers=sample.bootstrap)
    await producer.start()
    try:
        for n in numbers:
            headers = headers_for({"name": "bad", "n": n})
            await producer.send(sample.requests_topic, b"not json", key=b"a", headers=headers, partition=partition)
    finally:
        await producer.stop()


async def publish_operation(sample: Harness, kind: str, body: Any, identity: uuid.UUID | None = None) -> uuid.UUID:
    """Publish a record on the topic of operations; its `ce_id`."""
    identity = identity or uuid.uuid4()
    producer = AIOKafkaProducer(bootstrap_servers=sample.bootstrap)
    await producer.start()
    try:
        headers = [("ce_id", str(identity).encode()), ("ce_type", kind.encode()), ("ce_source", b"/test")]
        value = body if isinstance(body, bytes) else json.dumps(body).encode()
        await producer.send_and_wait(OPERATIONS, value, key=b"x", headers=headers)
    finally:
        await producer.stop()
    return identity


async def answers(sample: Harness, operation: uuid.UUID, count: int = 1) -> list[dict[str, Any]]:
    """The answers to an operation, as soon as there are `count`: their values, each with its `ce_type`."""

    def of_operation(records: list[Any]) -> list[dict[str, Any]]:
        found = [(dict(one.headers)["ce_type"].decode(), json.loads(one.value)) for one in records]
        return [{**value, "ce_type": kind} for kind, value in found if value["operation"] == str(operation)]

    return of_operation(await sample.read(OPERATION_RESULTS, lambda found: len(of_operation(found)) >= count))


async def log_of_operations(sample: Harness) -> list[asyncpg.Record]:
    """The log of operations: kind, who, why, outcome, detail."""
    return await sample.query(
        "SELECT kind, who, why, outcome, detail FROM operations o"
        " LEFT JOIN operation_answers a ON a.operation = o.id ORDER BY received_at"
    )
