"""`python -m contracts.generate [--check]`: writes schemas/ and asyncapi.json from the models.

Never replaces a published schema by one that old or new code could not read: see `compatibility`.
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
    """The JSON Schema 2020-12 of one message. Its topic and key are part of what is published."""
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
    """Brings `folder` up to date, or only looks. Returns what is wrong; nothing is written then."""
    schemas = {folder / "schemas" / f"{message.ce_type}.json": schema_of(message) for message in messages}
    problems = [
        f"{path.relative_to(folder)}: {change}"
        for path, schema in schemas.items()
        if path.exists()
        for change in breaking_changes(json.loads(path.read_text("utf-8")), schema)
    ]
    problems += [
        f"{path.relative_to(folder)}: published, but gone from the catalogue; topics still hold such messages"
        for path in sorted((folder / "schemas").glob("*.json"))
        if path not in schemas
    ]
    if problems:
        return [*problems, "a published schema stays as it is; a breaking change is a new version beside it"]
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
    """The command: 0 when all is well, else 1 and what is wrong, line by line, on stderr."""
    parser = argparse.ArgumentParser(prog="python -m contracts.generate", description="Schemas from the models.")
    parser.add_argument("--check", action="store_true", help="write nothing; name what is stale")
    problems = run(check=parser.parse_args(arguments).check)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
