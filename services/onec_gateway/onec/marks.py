"""Text that the gateway writes into comments in 1C, and by which it recognises its own enquiries and marks."""

import re
from typing import Final

MARKER: Final = "truce:"
"""Precedes a lead id in everything that the gateway writes into a comment."""

HISTORY: Final = "Клиента рекомендовал партнёр"
"""Begins the comment of an enquiry that the gateway created after a reservation had expired."""

MARK_PATTERN: Final = re.compile(rf"\[[^\[\]]*; {MARKER}[^\[\]]*\] ?")
"""A mark «закреплён за партнёром» on an enquiry of the sales office. Nothing inside a mark has square brackets."""

_CARD_MARKER: Final = re.compile(rf"{MARKER}[0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}")

_BRACKETS: Final = str.maketrans("[]", "()")


def marked(comment: str, words: str, lead_id: str) -> str:
    """The comment with a mark in front of it; an older mark of the gateway is removed, wherever it stands."""
    return f"[{words.translate(_BRACKETS)}; {MARKER}{lead_id}] " + MARK_PATTERN.sub("", comment)


def unmarked(comment: str, lead_id: str) -> str:
    """The comment without the mark of this lead, wherever it stands."""
    return MARK_PATTERN.sub(lambda mark: "" if f"{MARKER}{lead_id}]" in mark[0] else mark[0], comment)


def made_for(comment: str) -> str:
    """The marker in the comment of a card that the gateway created for a lead; empty for any other comment."""
    found = _CARD_MARKER.search(comment)
    return found[0] if found is not None else ""


def is_handed_over(comment: str, marker: str = MARKER) -> bool:
    """Whether the gateway created the enquiry with this comment, for any lead or for the lead with this marker.

    The marker must stand after the HISTORY text. A mark holds a marker too, but stands on enquiries that the sales
    office created. What a manager writes before or after the history does not change the result.
    """
    return marker in MARK_PATTERN.sub("", comment).partition(HISTORY)[2]
