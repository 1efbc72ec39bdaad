"""Idempotency keys: a portal chooses an id for every request, and one id stands for one content.

A request with the id of a recorded request and the same content gets the first reply again, without new events. The
same id with other content is refused with `id-conflict`.
"""

from collections.abc import Mapping

from services.intake.domain.model import Origin, RecordedRequest, RequestKey


def find_recorded(requests: Mapping[RequestKey, RecordedRequest], origin: Origin) -> RecordedRequest | None:
    """The request that the same portal sent earlier under the same id."""
    return requests.get((origin.portal, origin.key))


def is_conflict(recorded: RecordedRequest, origin: Origin) -> bool:
    """Whether a recorded request with the same id had other content, or was a request of another kind."""
    return recorded.origin.digest != origin.digest or recorded.origin.kind != origin.kind
