"""Creates the topics of `contracts/topics.py`: `python -m deploy.topics`.

It prints the topics that it created and how existing topics differ. It never changes or deletes a topic: a change of
the number of partitions breaks the order of a client's messages, so an operator must decide on it.
"""

import asyncio
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import typer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from chassis.kafka_clients import client_options
from chassis.limits import EVENT_FRAMING_BYTES, MAX_BATCH_BYTES, MAX_EVENT_BYTES
from chassis.settings import KafkaSettings, load
from contracts.topics import TOPICS, TopicSpec, portal_requests

LEADERS_WITHIN_SECONDS: Final = 20.0
PROVISIONING_TIMEOUT_MS: Final = 30_000


@dataclass(frozen=True, slots=True)
class Provisioned:
    """The names of topics that were created and that existed, and a line for each difference of an existing topic."""

    created: tuple[str, ...]
    existing: tuple[str, ...]
    differences: tuple[str, ...]


def topic_specs(portals: Iterable[str]) -> tuple[TopicSpec, ...]:
    """Every topic of a system with these portals, one request topic for each portal included."""
    return (*TOPICS, *(portal_requests(portal) for portal in portals))


# The chassis knows no topic and the contracts know no producer: only here are both limits visible.
assert all(
    int(spec.config["max.message.bytes"]) >= max(MAX_BATCH_BYTES, MAX_EVENT_BYTES + EVENT_FRAMING_BYTES)
    for spec in topic_specs(["any"])
), "a topic would refuse the batches of our own producer"


async def provision(
    settings: KafkaSettings, specs: Sequence[TopicSpec], replication: int = 1, *, ready: bool = True
) -> Provisioned:
    """Create the topics that are missing, and compare existing topics with their specifications.

    With `ready`, wait until every created partition has a leader (at most 20 s, then TimeoutError).
    """
    # Creating many partitions takes a broker longer than any other request.
    admin = AIOKafkaAdminClient(**{**client_options(settings), "request_timeout_ms": PROVISIONING_TIMEOUT_MS})
    await admin.start()
    try:
        existing = set(await admin.list_topics())
        missing = [spec for spec in specs if spec.name not in existing]
        created = await _create(admin, missing, replication)
        found = [spec for spec in specs if spec.name not in created]
        differences = await _differences(admin, found, replication)
        if ready and created:
            await _wait_for_leaders(admin, created)
        return Provisioned(tuple(created), tuple(spec.name for spec in found), tuple(differences))
    finally:
        await admin.close()


async def _create(admin: AIOKafkaAdminClient, specs: Sequence[TopicSpec], replication: int) -> list[str]:
    if not specs:
        return []
    response = await admin.create_topics(
        [NewTopic(spec.name, spec.partitions, replication, topic_configs=dict(spec.config)) for spec in specs]
    )
    created = []
    for name, code, *message in response.topic_errors:
        error = for_code(code)
        if code == 0:
            created.append(name)
        elif error is not TopicAlreadyExistsError:  # another process has just created it; then it is compared
            raise error(f"{name}: {message[0] if message else ''}")
    return created


async def _differences(admin: AIOKafkaAdminClient, specs: Sequence[TopicSpec], replication: int) -> list[str]:
    if not specs:
        return []
    found = []
    described = {topic["topic"]: topic for topic in await admin.describe_topics([spec.name for spec in specs])}
    configs = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, spec.name) for spec in specs])
    values: dict[str, dict[str, str]] = {}
    for response in configs:
        for _code, _message, _kind, name, entries in response.resources:
            values[name] = {entry[0]: entry[1] for entry in entries}
    for spec in specs:
        partitions = described[spec.name]["partitions"]
        if len(partitions) != spec.partitions:
            found.append(f"{spec.name}: {len(partitions)} partitions, wanted {spec.partitions}")
        replicas = min((len(partition["replicas"]) for partition in partitions), default=0)
        if replicas != replication:
            found.append(f"{spec.name}: {replicas} replicas, wanted {replication}")
        for setting, wanted in spec.config.items():
            actual = values.get(spec.name, {}).get(setting)
            if actual != wanted:
                found.append(f"{spec.name}: {setting}={actual}, wanted {wanted}")
    return found


async def _wait_for_leaders(admin: AIOKafkaAdminClient, names: Sequence[str]) -> None:
    async with asyncio.timeout(LEADERS_WITHIN_SECONDS):
        while True:
            described = await admin.describe_topics(list(names))
            partitions = [partition for topic in described for partition in topic["partitions"]]
            led = all(partition["leader"] >= 0 for partition in partitions)
            if led and len(described) == len(names) and all(topic["error_code"] == 0 for topic in described):
                return
            await asyncio.sleep(0.05)


def main(
    portals: Annotated[
        list[str] | None,
        typer.Option("--portal", help="a portal that sends requests on a topic; repeat the option for more portals"),
    ] = None,
    replication: Annotated[int, typer.Option(help="replicas of each partition; use 3 in production")] = 1,
    strict: Annotated[bool, typer.Option("--strict", help="exit with code 1 if an existing topic differs")] = False,
) -> None:
    """Create the topics that are missing on KAFKA_BOOTSTRAP_SERVERS, and print how existing topics differ."""
    try:
        outcome = asyncio.run(provision(load(KafkaSettings), topic_specs(portals or []), replication))
    except (KafkaError, OSError, TimeoutError) as error:
        sys.exit(f"topics: {type(error).__name__}: {error}")
    for name in outcome.created:
        print(f"created {name}")
    for name in outcome.existing:
        print(f"exists  {name}")
    for difference in outcome.differences:
        print(f"differs {difference} (not changed)", file=sys.stderr)
    if strict and outcome.differences:
        sys.exit(1)


if __name__ == "__main__":
    typer.run(main)
