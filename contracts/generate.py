"""`python -m contracts.generate [--check]` writes schemas/ and asyncapi.json from the models.

A published schema is never replaced by an incompatible one: see `compatibility`.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from contracts import asyncapi
from contracts.base import Message
from contracts.catalogue import MESSAGES
from contracts.compatibility import Schema, breaking_changes

FOLDER: Final = Path(__file__).parent


def schema_of(message: type[Message]) -> Schema:
    """The JSON Schema 2020-12 of one message, with its topic and key as `x-kafka-topic` and `x-kafka-key`."""
    body = message.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:truce:{message.ce_type}",
        "title": body.pop("title"),
        "description": " ".join(body.pop("description").split()),
        "x-kafka-topic": asyncapi.address(message),
        "x-kafka-key": asyncapi.key_form(message),
        **body,
    }


def run(folder: Path = FOLDER, messages: Sequence[type[Message]] = MESSAGES, *, check: bool = False) -> list[str]:
    """Write the files of `messages` to `folder`; with `check`, only compare. Returns the problems.

    If there are problems, nothing is written.
    """
    schemas = {folder / "schemas" / f"{message.ce_type}.json": schema_of(message) for message in messages}
    problems = [
        f"{path.relative_to(folder)}: {change}"
        for path, schema in schemas.items()
        if path.exists()
        for change in breaking_changes(json.loads(path.read_text("utf-8")), schema)
    ]
    problems += [
        f"{path.relative_to(folder)}: published, but not in the catalogue; topics still hold such messages"
        for path in sorted((folder / "schemas").glob("*.json"))
        if path not in schemas
    ]
    if problems:
        return [*problems, "a published schema keeps its meaning; make a breaking change as a new version beside it"]
    wanted = {**schemas, folder / "asyncapi.json": asyncapi.document(messages)}
    texts = {path: json.dumps(content, ensure_ascii=False, indent=2) + "\n" for path, content in wanted.items()}
    stale = [path for path, text in texts.items() if not path.exists() or path.read_text("utf-8") != text]
    if check:
        return [f"{path.relative_to(folder)}: stale; run python -m contracts.generate" for path in stale]
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(texts[path], "utf-8")
    return []


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns the exit code: 0, or 1 after it has printed the problems to stderr, one a line."""
    parser = argparse.ArgumentParser(
        prog="python -m contracts.generate", description="Write the schemas and the AsyncAPI document from the models."
    )
    parser.add_argument("--check", action="store_true", help="write nothing; list the stale files")
    problems = run(check=parser.parse_args(arguments).check)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
