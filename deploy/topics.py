"""Creates the topics of `contracts/topics.py`: `python -m deploy.topics`.

It prints the topics that it created and how existing topics differ. On an existing topic it changes only the settings
in `CHANGED`, which touch no record on it. Everything else is for an operator to decide: a change of the number of
partitions, for example, breaks the order of a client's messages.
"""

import asyncio
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, NamedTuple

import typer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from chassis.kafka_clients import client_options
from chassis.limits import EVENT_FRAMING_BYTES, MAX_BATCH_BYTES, MAX_EVENT_BYTES
from chassis.settings import KafkaSettings, load
from contracts.topics import PORTAL_REQUESTS, TOPICS, TopicSpec, portal_requests

CHANGED: Final = frozenset({"compression.type"})
APPLIES_WITHIN_SECONDS: Final = 20.0
PROVISIONING_TIMEOUT_MS: Final = 30_000

_DYNAMIC_TOPIC_CONFIG: Final = 1  # the source of a setting that was made on the topic itself


@dataclass(frozen=True, slots=True)
class Provisioned:
    """The names of topics that were created and that existed, and a line for each difference of an existing topic.

    `changed` has a line for each setting that was changed on an existing topic.
    """

    created: tuple[str, ...]
    existing: tuple[str, ...]
    differences: tuple[str, ...]
    changed: tuple[str, ...] = ()


def topic_specs(portals: Iterable[str]) -> tuple[TopicSpec, ...]:
    """Every topic of a system with these portals, one request topic for each portal included."""
    return (*TOPICS, *(portal_requests(portal) for portal in portals))


# The chassis knows no topic and the contracts know no producer: only here are both limits visible.
assert all(
    int(spec.config["max.message.bytes"]) >= max(MAX_BATCH_BYTES, MAX_EVENT_BYTES + EVENT_FRAMING_BYTES)
    for spec in topic_specs(["any"])
), "a topic would refuse the batches of our own producer"


async def provision_system(settings: KafkaSettings, portals: Iterable[str], replication: int = 1) -> Provisioned:
    """Provision every topic of a system: the request topics of `portals`, and those of all other portals that exist."""
    admin = _admin(settings)
    await admin.start()
    try:
        prefix = f"{PORTAL_REQUESTS}."
        existing = {name.removeprefix(prefix) for name in await admin.list_topics() if name.startswith(prefix)}
    finally:
        await admin.close()
    return await provision(settings, topic_specs(sorted(existing.union(portals))), replication)


async def provision(
    settings: KafkaSettings, specs: Sequence[TopicSpec], replication: int = 1, *, ready: bool = True
) -> Provisioned:
    """Create the topics that are missing, change what may be changed on existing topics, and compare the rest.

    With `ready`, wait until every created partition has a leader (at most 20 s, then TimeoutError).
    """
    admin = _admin(settings)
    await admin.start()
    try:
        existing = set(await admin.list_topics())
        missing = [spec for spec in specs if spec.name not in existing]
        created = await _create(admin, missing, replication)
        found = [spec for spec in specs if spec.name not in created]
        changed, differences = await _compare(admin, found, replication)
        if ready and created:
            await _wait_for_leaders(admin, created)
        return Provisioned(tuple(created), tuple(spec.name for spec in found), tuple(differences), tuple(changed))
    finally:
        await admin.close()


def _admin(settings: KafkaSettings) -> AIOKafkaAdminClient:
    # Creating many partitions takes a broker longer than any other request.
    return AIOKafkaAdminClient(**{**client_options(settings), "request_timeout_ms": PROVISIONING_TIMEOUT_MS})


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


async def _compare(
    admin: AIOKafkaAdminClient, specs: Sequence[TopicSpec], replication: int
) -> tuple[list[str], list[str]]:
    """A line for each setting that was changed, and for each difference that was left."""
    changed: list[str] = []
    differences: list[str] = []
    if not specs:
        return changed, differences
    described = {topic["topic"]: topic for topic in await admin.describe_topics([spec.name for spec in specs])}
    configs = await _configs(admin, [spec.name for spec in specs])
    for spec in specs:
        partitions = described[spec.name]["partitions"]
        if len(partitions) != spec.partitions:
            differences.append(f"{spec.name}: {len(partitions)} partitions, wanted {spec.partitions}")
        replicas = min((len(partition["replicas"]) for partition in partitions), default=0)
        if replicas != replication:
            differences.append(f"{spec.name}: {replicas} replicas, wanted {replication}")
        config = configs[spec.name]
        differing = {name: wanted for name, wanted in spec.config.items() if config.values.get(name) != wanted}
        if change := {name: wanted for name, wanted in differing.items() if name in CHANGED}:
            await _change(admin, spec.name, {**config.own, **change})
        for name, wanted in differing.items():
            actual = config.values.get(name)
            if name in change:
                changed.append(f"{spec.name}: {name}={wanted}, was {actual}")
            else:
                differences.append(f"{spec.name}: {name}={actual}, wanted {wanted}")
    return changed, differences


class _Config(NamedTuple):
    """The settings of a topic: all that apply to it, and those that were made on the topic itself."""

    values: dict[str, str]
    own: dict[str, str]


async def _configs(admin: AIOKafkaAdminClient, topics: Sequence[str]) -> dict[str, _Config]:
    found: dict[str, _Config] = {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in topics]
    for response in await admin.describe_configs(resources):
        for code, message, _kind, topic, entries in response.resources:
            if code:
                raise for_code(code)(f"{topic}: {message}")
            # Each entry: name, value, whether it is read-only, its source.
            values = {name: value for name, value, *_ in entries}
            own = {name: value for name, value, _, source, *_ in entries if source == _DYNAMIC_TOPIC_CONFIG}
            found[topic] = _Config(values, own)
    return found


async def _change(admin: AIOKafkaAdminClient, topic: str, config: dict[str, str]) -> None:
    """Replace the settings that were made on a topic, and wait until they apply (at most 20 s, then TimeoutError).

    A setting that is not in `config` gets its default.
    """
    for response in await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, config)]):
        for code, message, *_ in response.resources:
            if code:
                raise for_code(code)(f"{topic}: {message}")
    async with asyncio.timeout(APPLIES_WITHIN_SECONDS):
        while True:
            if (await _configs(admin, [topic]))[topic].own == config:
                return
            await asyncio.sleep(0.05)


async def _wait_for_leaders(admin: AIOKafkaAdminClient, names: Sequence[str]) -> None:
    async with asyncio.timeout(APPLIES_WITHIN_SECONDS):
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
    """Create the topics that are missing on KAFKA_BOOTSTRAP_SERVERS, and print how existing topics differ.

    After an upgrade it also gives existing topics the settings that may be changed at any time.
    """
    try:
        outcome = asyncio.run(provision_system(load(KafkaSettings), portals or [], replication))
    except (KafkaError, OSError, TimeoutError) as error:
        sys.exit(f"topics: {type(error).__name__}: {error}")
    for name in outcome.created:
        print(f"created {name}")
    for name in outcome.existing:
        print(f"exists  {name}")
    for change in outcome.changed:
        print(f"changed {change}")
    for difference in outcome.differences:
        print(f"differs {difference} (not changed)", file=sys.stderr)
    if strict and outcome.differences:
        sys.exit(1)


if __name__ == "__main__":
    typer.run(main)
