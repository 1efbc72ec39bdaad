"""Dead letters: what could not be handled, why, and what becomes of it.

A letter is open until it was replayed or discarded; both are written to the topic beside it, with who and why. A
replay is the original record once more, in the partition it came from: as safe as any repeat. What was parked keeps
its place in its client's queue, so letters go back oldest first, and one that fails again, or comes out of turn, comes
back as another letter.
"""

import asyncio
import base64
import getpass
import json
import sys
from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import uuid4

import orjson
import typer
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings
from rich.console import Console
from rich.table import Table

from chassis.envelope import Headers, read_headers
from chassis.kafka_clients import client_options
from chassis.settings import KafkaSettings, load
from contracts.dead_letters import REPLAY

LETTER: Final = "dead-letter.v1"
RESOLVED: Final = "dead-letter-resolved.v1"
MAX_BYTES: Final = 4 * 1024 * 1024
SILENCE_S: Final = 20.0


class Settings(BaseSettings):
    """`DEAD_LETTERS_PRIVATE_KEY` opens what services sealed to its public half; only `show`, `replay` need it."""

    dead_letters_topic: str = "dead-letters"
    dead_letters_private_key: Annotated[SecretStr | None, Field(repr=False)] = None


class _Registry(jwe.JWERegistry):
    max_ciphertext_length = MAX_BYTES


_REGISTRY = _Registry(algorithms=["ECDH-ES", "A256GCM"])


@dataclass(frozen=True, slots=True)
class Letter:
    """An open letter. `told_at` is business time."""

    id: str
    service: str
    topic: str
    partition: int
    offset: int
    reason: str
    attempts: int
    told_at: str
    sealed: str

    @property
    def place(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


@dataclass(frozen=True, slots=True)
class Original:
    """The record as it was consumed. `token`: its place in its key's queue, if it was parked."""

    key: bytes | None
    headers: list[tuple[str, bytes | None]]
    value: bytes | None
    token: str | None


def open_letter(letter: Letter, key: ECKey) -> Original:
    """Raises ValueError for a key that is not the operators'."""
    try:
        content = orjson.loads(jwe.decrypt_compact(letter.sealed, key, registry=_REGISTRY).plaintext or b"")
    except (JoseError, ValueError, KeyError, TypeError):
        raise ValueError(f"{letter.id}: does not open with this key") from None
    headers = [(name, _bytes(value)) for name, value in content["headers"]]
    return Original(_bytes(content["key"]), headers, _bytes(content["value"]), content.get("token"))


def in_turn(letters: Sequence[tuple[Letter, Original]]) -> list[tuple[Letter, Original]]:
    """Oldest first. Places in a queue sort by themselves; what was never parked has the order of its topic."""

    def place(pair: tuple[Letter, Original]) -> tuple[str, str, int, int]:
        letter, original = pair
        return original.token or "", letter.topic, letter.partition, letter.offset

    return sorted(letters, key=place)


def replay_headers(letter: Letter, original: Original) -> list[tuple[str, bytes | None]]:
    """The original's, and the mark that this is a replay for the one service which failed."""
    return [*original.headers, (REPLAY, f"{letter.service} {original.token or ''}".strip().encode())]


async def open_letters(kafka: KafkaSettings, topic: str) -> list[Letter]:
    """Every letter that was neither replayed nor discarded, oldest first."""
    letters: dict[str, Letter] = {}
    resolved: set[str] = set()
    async for headers, record in _records(kafka, topic):
        if headers.get("ce_type") == LETTER:
            value = orjson.loads(record.value)
            letters[headers["ce_id"]] = Letter(
                id=headers["ce_id"],
                service=value["service"],
                topic=value["original_topic"],
                partition=value["partition"],
                offset=value["offset"],
                reason=value["reason"],
                attempts=value.get("attempts", 1),
                told_at=headers.get("ce_time", ""),
                sealed=value["original"],
            )
        elif headers.get("ce_type") == RESOLVED:
            resolved.add(orjson.loads(record.value)["letter"])
    remaining = [letter for identity, letter in letters.items() if identity not in resolved]
    return sorted(remaining, key=lambda letter: (letter.told_at, letter.topic, letter.partition, letter.offset))


async def resolve(
    kafka: KafkaSettings, topic: str, letters: Sequence[tuple[Letter, Original]], action: str, by: str, reason: str
) -> None:
    """Put each letter's record back (`replayed`) or take it out of its queue (`discarded`), and say so on the topic."""
    async with _producer(kafka) as producer:
        for letter, original in in_turn(letters):
            if action == "replayed":
                await producer.send_and_wait(
                    letter.topic,
                    original.value,
                    key=original.key,
                    headers=replay_headers(letter, original),
                    partition=letter.partition,
                )
            elif original.token is not None:
                mark = (REPLAY, f"{letter.service} {original.token} discard".encode())
                await producer.send_and_wait(
                    letter.topic, b"", key=original.key, headers=[mark], partition=letter.partition
                )
            # Last: whoever is cut off before finds the letter open, and replaying it again is harmless.
            await producer.send_and_wait(
                topic, _resolution(letter, action, by, reason), key=letter.id.encode(), headers=_headers(letter)
            )


def _resolution(letter: Letter, action: str, by: str, reason: str) -> bytes:
    at = datetime.now(UTC).isoformat()
    return orjson.dumps({"letter": letter.id, "action": action, "by": by, "reason": reason, "at": at})


def _headers(letter: Letter) -> Headers:
    identity = str(uuid4()).encode()
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", identity),
        ("ce_type", RESOLVED.encode()),
        ("ce_source", b"/truce/operator"),
        ("ce_time", datetime.now(UTC).isoformat().encode()),
        ("ce_correlationid", letter.id.encode()),
        ("ce_causationid", letter.id.encode()),
        ("content-type", b"application/json"),
    ]


async def _records(kafka: KafkaSettings, topic: str) -> Any:
    consumer = AIOKafkaConsumer(
        topic, **client_options(kafka), auto_offset_reset="earliest", max_partition_fetch_bytes=MAX_BYTES
    )
    await consumer.start()
    try:
        partitions = consumer.assignment()
        if not partitions:
            raise ValueError(f"there is no topic {topic}")
        ends = await consumer.end_offsets(partitions)
        async with asyncio.timeout(SILENCE_S) as patience:
            while any([await consumer.position(partition) < end for partition, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    patience.reschedule(asyncio.get_running_loop().time() + SILENCE_S)
                    for record in records:
                        yield read_headers(record.headers), record
    finally:
        await consumer.stop()


@asynccontextmanager
async def _producer(kafka: KafkaSettings) -> Any:
    producer = AIOKafkaProducer(
        **client_options(kafka), acks="all", enable_idempotence=True, max_request_size=MAX_BYTES
    )
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


# --- commands

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help=(__doc__ or "").split("\n\n", 1)[1])

Ids = Annotated[list[str] | None, typer.Argument(help="ids of letters, or their first characters")]
OfService = Annotated[str | None, typer.Option("--service", help="only letters of this service")]
OfReason = Annotated[str | None, typer.Option("--with-reason", help="only letters with this reason")]
All = Annotated[bool, typer.Option("--all", help="every open letter that the other options leave")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="say what would be done, and do nothing")]
By = Annotated[str, typer.Option(help="who decides; kept beside the letter")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object a line")]


@app.command("list")
def list_(service: OfService = None, reason: OfReason = None, as_json: AsJson = False) -> None:
    """Open letters, oldest first."""
    letters = _chosen(None, service, reason, everything=True)
    if as_json:
        for letter in letters:
            print(json.dumps(_row(letter)))
        return
    table = Table("id", "service", "record", "reason", "attempts", "since")
    for letter in letters:
        table.add_row(
            letter.id[:8], letter.service, letter.place, letter.reason, str(letter.attempts), letter.told_at[:19]
        )
    Console().print(table)
    print(f"{len(letters)} open")


@app.command()
def show(letter: Annotated[str, typer.Argument(help="id of a letter, or its first characters")]) -> None:
    """The original record of one letter, opened. It may hold a name and a phone."""
    (found,) = _chosen([letter], None, None, everything=False)
    (original,) = _opened([found])
    content = {
        **_row(found),
        "key": _text(original[1].key),
        "headers": [[name, _text(value)] for name, value in original[1].headers],
        "value": _text(original[1].value),
        "parked": original[1].token is not None,
    }
    print(json.dumps(content, ensure_ascii=False, indent=2))


@app.command()
def replay(
    letters: Ids = None,
    service: OfService = None,
    reason: OfReason = None,
    everything: All = False,
    dry_run: DryRun = False,
    by: By = "",
) -> None:
    """Hand records to their service once more, oldest first."""
    _resolve("replayed", _chosen(letters, service, reason, everything=everything), by, "replay", dry_run=dry_run)


@app.command()
def discard(
    because: Annotated[str, typer.Option("--because", help="why it shall never be handled; kept beside the letter")],
    letters: Ids = None,
    service: OfService = None,
    reason: OfReason = None,
    everything: All = False,
    dry_run: DryRun = False,
    by: By = "",
) -> None:
    """Give records up for good. What waits behind a parked one may then go on."""
    _resolve("discarded", _chosen(letters, service, reason, everything=everything), by, because, dry_run=dry_run)


def _resolve(action: str, letters: Sequence[Letter], by: str, reason: str, *, dry_run: bool) -> None:
    opened = in_turn(_opened(letters))
    for letter, original in opened:
        parked = ", parked" if original.token is not None else ""
        said = f"would be {action}" if dry_run else action
        print(f"{letter.id[:8]} {letter.place} for {letter.service} ({letter.reason}{parked}): {said}")
    if not dry_run and opened:
        settings = load(Settings)
        _run(resolve(load(KafkaSettings), settings.dead_letters_topic, opened, action, by or getpass.getuser(), reason))


def _chosen(ids: Sequence[str] | None, service: str | None, reason: str | None, *, everything: bool) -> list[Letter]:
    if not ids and not everything:
        sys.exit("name letters by their ids, or choose with --all (and --service, --with-reason)")
    letters: list[Letter] = _run(open_letters(load(KafkaSettings), load(Settings).dead_letters_topic))
    if ids:
        chosen = []
        for wanted in ids:
            found = [letter for letter in letters if letter.id.startswith(wanted)]
            if len(found) != 1:
                sys.exit(f"{wanted}: {'more than one letter begins' if found else 'no open letter is named'} so")
            chosen.extend(found)
        letters = chosen
    return [letter for letter in letters if service in (None, letter.service) and reason in (None, letter.reason)]


def _opened(letters: Sequence[Letter]) -> list[tuple[Letter, Original]]:
    secret = load(Settings).dead_letters_private_key
    if secret is None:
        sys.exit("setting DEAD_LETTERS_PRIVATE_KEY: the operators' private EC JWK is needed to open letters")
    try:
        key = ECKey.import_key(json.loads(secret.get_secret_value()))
        return [(letter, open_letter(letter, key)) for letter in letters]
    except (ValueError, TypeError, JoseError) as error:
        sys.exit(f"DEAD_LETTERS_PRIVATE_KEY: {error if isinstance(error, ValueError) else 'must be a private EC JWK'}")


def _run(work: Any) -> Any:
    try:
        return asyncio.run(work)
    except (KafkaError, OSError, TimeoutError, ValueError) as error:
        sys.exit(f"dead letters: {type(error).__name__}: {error}")


def _row(letter: Letter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "service": letter.service,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "reason": letter.reason,
        "attempts": letter.attempts,
        "since": letter.told_at,
    }


def _text(content: bytes | None) -> str | None:
    if content is None:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return f"base64:{base64.b64encode(content).decode()}"
