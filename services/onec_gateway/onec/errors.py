"""What 1C's answers mean when they are not what was asked for.

    OneCError
    ├── NoAnswer        it may have taken effect, or not: unknown
    ├── NotReached      it did not take effect, and may later: not connected, maintenance, session, licence
    │   ├── Paused      it was not even sent: 1C is left alone for now
    │   └── NoRights    it did not take effect, and will not until an administrator grants the rights
    └── Refused         1C said no; saying it again will not help
        └── Exists      a record with this key is there already

`text` is what 1C said, without the names, phones and values that it echoes.
"""


class OneCError(Exception):
    """`code` is 1C's own, where it gave one; `status` the HTTP status, where there was an answer."""

    def __init__(
        self, reason: str, status: int | None = None, code: str | None = None, text: str | None = None
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.code = code
        self.text = text


class NoAnswer(OneCError):
    """Unknown: the request left, and no answer that can be read came back."""


class NotReached(OneCError):
    """Certainly nothing took effect, and it may go through later."""


class Paused(NotReached):
    """Nothing is sent for `after_s` seconds, or somewhat longer."""

    def __init__(self, reason: str, after_s: float) -> None:
        super().__init__(reason)
        self.after_s = after_s


class NoRights(NotReached):
    """The infobase does not know the user, or does not let it do this."""


class Refused(OneCError):
    """1C refused this very request."""


class Exists(Refused):
    """Code 15: a record with this key exists."""
