"""Counts the segments of a text: GSM-7 160/153, UCS-2 70/67 characters, no character split between segments."""

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("^{}\\[~]|€\f")


def segments(text: str) -> int:
    """The number of segments in which the text is sent and billed."""
    if all(character in _BASIC or character in _EXTENDED for character in text):
        return _packed([2 if character in _EXTENDED else 1 for character in text], 160, 153)
    return _packed([2 if ord(character) > 0xFFFF else 1 for character in text], 70, 67)


def _packed(widths: list[int], alone: int, joined: int) -> int:
    if sum(widths) <= alone:
        return 1
    count, room = 1, joined
    for width in widths:
        # An escaped character or a surrogate pair moves undivided into the next segment.
        if width > room:
            count, room = count + 1, joined
        room -= width
    return count
