"""The golden samples: one record of each message, which must stay readable."""

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
    """The content of one message's file in `folder`: `samples` or `schemas`."""
    content: dict[str, Any] = json.loads((FOLDER / folder / f"{ce_type}.json").read_text("utf-8"))
    return content
