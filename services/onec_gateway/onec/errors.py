"""Failures of a request to 1C, ordered by what the gateway may do next.

OneCError
├── NoAnswer        the request may have taken effect or not: look before repeating it
├── NotReached      the request had no effect and may succeed later: no connection, maintenance, session, licence
│   ├── Paused      the request was not even sent, since the gate is closed
│   └── NoRights    the request had no effect and fails until an administrator grants the rights
└── Refused         1C refused the request; repeating it does not help
    └── Exists      a record with this key exists already
"""

from typing import Final

INFOBASE_LOCKED: Final = "infobase-locked"
NO_LICENCE: Final = "no-licence"
LOCK_CONFLICT: Final = "lock-conflict"


class OneCError(Exception):
    """A request to 1C failed.

    `reason` is one of the outcomes in docs/1c-admin.md, `status` the HTTP status of the answer if there was one,
    `code` 1C's own error code, `text` 1C's message without names, phones and values.
    """

    def __init__(
        self, reason: str, status: int | None = None, code: str | None = None, text: str | None = None
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.code = code
        self.text = text


class NoAnswer(OneCError):
    """The request was sent and no readable answer came back: its effect is unknown."""


class NotReached(OneCError):
    """The request certainly had no effect and may succeed later."""


class Paused(NotReached):
    """The gate sends no requests for `after_s` seconds or somewhat longer."""

    def __init__(self, reason: str, after_s: float) -> None:
        super().__init__(reason)
        self.after_s = after_s


class NoRights(NotReached):
    """1C does not accept the user or its password, or the user lacks a right."""


class Refused(OneCError):
    """1C or its web server refused this request."""


class Exists(Refused):
    """1C's error code 15: a record with this key exists."""


def is_unhealthy(failure: OneCError | None) -> bool:
    """Whether the result of a request shows that 1C is in trouble as a whole.

    False for a good answer, for a refusal, and for a lock conflict: these concern this request alone.
    """
    return isinstance(failure, NoAnswer) or (isinstance(failure, NotReached) and failure.reason != LOCK_CONFLICT)
