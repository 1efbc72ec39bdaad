"""Preconditions of every request that changes something: an idempotency key, a trace, and events that reach Kafka.

While Kafka is down, or the database, requests are refused with 503.
"""

import os
from typing import Annotated, Any

from fastapi import Header

from chassis.decision import Cause
from chassis.service import Input, Runtime
from services.intake.decoding import incoming_trace, is_request_id
from services.intake.http.problems import Problem, unavailable

UNDELIVERED_LIMIT_S = 600

IdempotencyKey = Annotated[str | None, Header(alias="Idempotency-Key", description="До 255 видимых символов ASCII")]
TraceParent = Annotated[str | None, Header(include_in_schema=False)]


async def decide(runtime: Runtime, item: Input) -> Any:
    """The reply of the rule, after the commit.

    Raises Problem 503 while an event has not reached Kafka for ten minutes: a 202 promises that the request goes on.
    """
    if runtime.undelivered_s() > UNDELIVERED_LIMIT_S:
        raise unavailable()
    return await runtime.decide(item)


def require_idempotency_key(key: str | None) -> str:
    """The key. Raises Problem 400 when it is absent or malformed."""
    if key is None or not is_request_id(key):
        raise Problem(400, "idempotency-key-required")
    return key


def trace_of(traceparent: str | None) -> Cause:
    """The trace that the portal sent in the header `traceparent`, or a new trace."""
    trace = incoming_trace(None, traceparent)
    if trace.traceparent is not None:
        return trace
    fresh = os.urandom(24).hex()
    return Cause("", "", f"00-{fresh[:32]}-{fresh[32:]}-01")
