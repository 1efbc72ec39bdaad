"""The commands `dead-letters list|show|replay|discard`."""

import asyncio
import base64
import getpass
import json
import sys
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar

import typer
from aiokafka.errors import KafkaError
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from chassis.commands import typed
from chassis.commands.console import print_rows
from chassis.settings import KafkaSettings, load
from contracts.dead_letters import ReplayOutcome
from services.ops import topic
from services.ops.letters import Action, Letter, Unsealed, choose, in_replay_order, unseal
from services.ops.settings import Settings

T = TypeVar("T")

_HELP = (
    "Dead letters: records that a service could not handle.\n\n"
    "A letter is open until its record is replayed or discarded. The decision is published to the topic of the "
    "letters, with who made it and why. A replay publishes the original record once more, to the partition it was read "
    "from; the service ignores it if the record was handled meanwhile. A parked record keeps its place in the queue of "
    "its client, so records are replayed oldest first. A record that fails again, or that is replayed out of order, "
    "becomes a new letter. A state that is older than the state of the service, such as an earlier `partner`, has no "
    "effect; the command says so. Of a record that was too large the letter keeps the size, the SHA-256 and the "
    "beginning: it can be shown and discarded, not replayed."
)
_NOT_REPLAYED: Final = (
    "not replayed: of a record that was too large its letter keeps only the beginning. "
    "Its producer must send a smaller record; discard the letter then."
)
_OUTCOMES: Final[dict[ReplayOutcome, str]] = {
    "handled": "handled",
    "repeated": "no effect: it was handled before",
    "superseded": "no effect: the service has a newer state",
    "dead-letter": "not handled: it is a dead letter again",
}

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help=_HELP)

Ids = Annotated[list[str] | None, typer.Argument(help="ids of letters, or their first characters")]
OfService = Annotated[str | None, typer.Option("--service", help="only letters of this service")]
OfReason = Annotated[str | None, typer.Option("--with-reason", help="only letters with this reason")]
All = Annotated[bool, typer.Option("--all", help="every open letter that the other options leave")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="print what would be done, and do nothing")]
By = Annotated[
    str | None,
    typer.Option(help="who decides; published with the decision (default: the user of this system)", parser=typed.who),
]
Wait = Annotated[float, typer.Option(min=0.0, help="wait at most so many seconds until the service has read them")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object a line")]


@app.command("list")
def list_(service: OfService = None, reason: OfReason = None, as_json: AsJson = False) -> None:
    """List open letters, oldest first."""
    letters = _chosen(None, service, reason, everything=True)
    print_rows(
        ("id", "service", "record", "reason", "attempts", "since"),
        [_row(letter) for letter in letters],
        _cells,
        "json" if as_json else "table",
        empty="no letter is open",
    )
    if not as_json:
        typer.echo(f"{len(letters)} open")


@app.command()
def show(letter: Annotated[str, typer.Argument(help="id of a letter, or its first characters")]) -> None:
    """Show the original record of one letter, decrypted. The record may hold a name and a phone.

    If the record was too large (`whole` is false), key, headers and value are their beginnings, and `size` and `sha256`
    are those of the whole record.
    """
    (found,) = _unsealed(_chosen([letter], None, None, everything=False))
    original = found.original
    cut_from = original.cut_from
    cut = cut_from is not None
    content = {
        **_row(found.letter),
        **({} if cut_from is None else {"size": cut_from.size, "sha256": cut_from.sha256}),
        "key": _text(original.key, cut=cut),
        "headers": [[name, _text(value, cut=cut)] for name, value in original.headers],
        "value": _text(original.value, cut=cut),
        "parked": found.is_parked,
    }
    typer.echo(json.dumps(content, ensure_ascii=False, indent=2))


@app.command()
def replay(
    letters: Ids = None,
    service: OfService = None,
    reason: OfReason = None,
    everything: All = False,
    dry_run: DryRun = False,
    by: By = None,
    wait: Wait = 10.0,
) -> None:
    """Publish records to their service once more, oldest first, and print what became of them."""
    wanted = _chosen(letters, service, reason, everything=everything)
    chosen = _announced("replayed", wanted, dry_run)
    if chosen:
        names = load(Settings).dead_letters_topic
        outcomes = _run(topic.replay(load(KafkaSettings), names, chosen, by or getpass.getuser(), "replay", wait))
        for letter, _ in chosen:
            outcome = outcomes.found.get(letter.id)
            found = _OUTCOMES[outcome] if outcome is not None else f"{letter.content.service} has not read it yet"
            typer.echo(f"{letter.id[:8]} {found}")
    if not dry_run and len(chosen) < len(wanted):
        sys.exit(_NOT_REPLAYED)


@app.command()
def discard(
    because: Annotated[
        str,
        typer.Option(
            "--because", help="why the record will never be handled; published with the decision", parser=typed.why
        ),
    ],
    letters: Ids = None,
    service: OfService = None,
    reason: OfReason = None,
    everything: All = False,
    dry_run: DryRun = False,
    by: By = None,
) -> None:
    """Discard records for good. The records that are parked behind a discarded record may then be replayed."""
    chosen = _announced("discarded", _chosen(letters, service, reason, everything=everything), dry_run)
    if chosen:
        names = load(Settings).dead_letters_topic
        _run(topic.discard(load(KafkaSettings), names, chosen, by or getpass.getuser(), because))


def _announced(action: Action, letters: Sequence[Letter], dry_run: bool) -> list[Unsealed]:
    """Print what is done with each letter. Returns the letters to resolve, opened and in order; with `dry_run` none."""
    unsealed = in_replay_order(_unsealed(letters))
    outcome = f"would be {action}" if dry_run else action
    possible = []
    for pair in unsealed:
        letter, content = pair.letter, pair.letter.content
        parked = ", parked" if pair.is_parked else ""
        refused = action == "replayed" and pair.original.cut_from is not None
        if not refused:
            possible.append(pair)
        typer.echo(
            f"{letter.id[:8]} {letter.record} for {content.service} ({content.reason}{parked}): "
            f"{'not replayed' if refused else outcome}"
        )
    return [] if dry_run else possible


def _chosen(ids: Sequence[str] | None, service: str | None, reason: str | None, *, everything: bool) -> list[Letter]:
    if not ids and not everything:
        sys.exit("name letters by their ids, or choose with --all (and --service, --with-reason)")
    letters = _run(topic.read_open_letters(load(KafkaSettings), load(Settings).dead_letters_topic))
    try:
        chosen = choose(letters, ids) if ids else letters
    except ValueError as error:
        sys.exit(str(error))
    return [
        letter
        for letter in chosen
        if service in (None, letter.content.service) and reason in (None, letter.content.reason)
    ]


def _unsealed(letters: Sequence[Letter]) -> list[Unsealed]:
    secret = load(Settings).dead_letters_private_key
    if secret is None:
        sys.exit("setting DEAD_LETTERS_PRIVATE_KEY: the operators' private EC JWK is needed to open letters")
    try:
        key = ECKey.import_key(json.loads(secret.get_secret_value()))
    except (ValueError, TypeError, JoseError):
        sys.exit("setting DEAD_LETTERS_PRIVATE_KEY: must be a private EC JWK")
    try:
        return [unseal(letter, key) for letter in letters]
    except ValueError as error:
        sys.exit(f"setting DEAD_LETTERS_PRIVATE_KEY: {error}")


def _run(work: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(work)
    except (KafkaError, OSError, TimeoutError, ValueError) as error:
        sys.exit(f"dead letters: {type(error).__name__}: {error}")


def _row(letter: Letter) -> dict[str, Any]:
    content = letter.content
    return {
        "id": letter.id,
        "service": content.service,
        "topic": content.original_topic,
        "partition": content.partition,
        "offset": content.offset,
        "reason": content.reason,
        "whole": content.whole,
        "attempts": content.attempts,
        "since": letter.created_at.isoformat(),
    }


def _cells(row: dict[str, Any]) -> Sequence[Any]:
    record = f"{row['topic']}/{row['partition']}/{row['offset']}"
    since = datetime.fromisoformat(row["since"]).astimezone(UTC)
    reason = row["reason"] if row["whole"] else f"{row['reason']}, not whole"
    return row["id"][:8], row["service"], record, reason, row["attempts"], f"{since:%Y-%m-%d %H:%M:%S} UTC"


def _text(content: bytes | None, *, cut: bool) -> str | None:
    """Bytes as text for people: UTF-8, else `base64:…`. `cut`: the bytes may end inside a character."""
    if content is None:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        if cut and error.reason == "unexpected end of data":
            return content[: error.start].decode()
        return f"base64:{base64.b64encode(content).decode()}"
