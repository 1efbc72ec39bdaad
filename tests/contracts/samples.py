"""The golden samples, as records: what was once on a topic and must stay readable."""

import json
from pathlib import Path
from typing import Any, Final

import contracts
from contracts.base import Message
from contracts.catalogue import MESSAGES

FOLDER: Final = Path(contracts.__file__).parent
BY_TYPE: Final[dict[str, type[Message]]] = {message.ce_type: message for message in MESSAGES}
TYPES: Final = tuple(BY_TYPE)


def load(folder: str, ce_type: str) -> dict[str, Any]:
    """`samples` or `schemas`: the file of one message."""
    content: dict[str, Any] = json.loads((FOLDER / folder / f"{ce_type}.json").read_text("utf-8"))
    return content
