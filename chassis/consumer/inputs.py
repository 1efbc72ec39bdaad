"""Inputs: what the processor gets of the records of one consumer."""

from collections.abc import Sequence
from functools import partial
from uuid import UUID

import structlog

from chassis.consumer.poison_guard import PoisonGuard
from chassis.consumer.records import (
    REPLAY,
    Decode,
    Poison,
    Record,
    WriteDeadLetter,
    WriteReplayed,
    letter_of,
    original_of,
    read_replay,
)
from chassis.consumer.stops import Place, place_of
from chassis.decision import Cause, Message
from chassis.envelope import inbox_id, read_headers
from chassis.processor.model import Input, Replay, Unreadable

log = structlog.get_logger(__name__)


class InputReader:
    """Makes inputs of records, and counts the records that fail for the poison guard of their topic.

    Without `dead_letter`, a record that cannot be read or handled is logged and skipped.
    """

    def __init__(
        self,
        service: str,
        decode: Decode,
        dead_letter: WriteDeadLetter | None,
        replayed: WriteReplayed | None,
        poison_share: float,
    ) -> None:
        self._service = service
        self._decode = decode
        self._dead_letter = dead_letter
        self._replayed = replayed
        self._poison_share = poison_share
        self._guards: dict[str, PoisonGuard] = {}

    def count(self, records: Sequence[Record]) -> None:
        """Count records that were read, once."""
        for record in records:
            self._guard(record).count(record)

    def forget_failures(self, topic: str) -> None:
        """Count the failures of a topic anew."""
        self._guards.pop(topic, None)

    def read(self, records: Sequence[Record]) -> tuple[dict[Place, Input], list[UUID]]:
        """The inputs of the records by their places, without records to skip; and the tokens of discard marks."""
        discarded: list[UUID] = []
        inputs = {
            place_of(record): item for record in records if (item := self._input_of(record, discarded)) is not None
        }
        return inputs, discarded

    def _guard(self, record: Record) -> PoisonGuard:
        guard = self._guards.get(record.topic)
        if guard is None:
            guard = self._guards[record.topic] = PoisonGuard(self._poison_share)
        return guard

    def _input_of(self, record: Record, discarded: list[UUID]) -> Input | None:
        headers = read_headers(record.headers)
        reason, where = "undecodable", f"{record.topic}/{record.partition}/{record.offset}"
        token: UUID | None = None
        replay: Replay | None = None
        if (header := headers.get(REPLAY)) is not None:
            mark = read_replay(header)
            if mark.service != self._service:
                return None
            token = mark.token
            if mark.discard:
                discarded.extend([token] if token is not None else [])
                return None
            if self._replayed is not None and (letter := letter_of(headers)) is not None:
                replay = Replay(where, partial(self._replayed, letter))
            record = original_of(record)
        write = self._dead_letter
        dead_letter = None if write is None else partial(self._letter_of, write, record)
        try:
            item = self._decode(record, headers)
        except Exception as error:
            if isinstance(error, Poison):
                reason = error.reason
                log.warning("record_unreadable", where=where, reason=reason)
            else:
                log.error("record_undecodable", where=where, exc_info=error)
            if dead_letter is None:
                return None
            # The input is identified by its place on the topic: the record's own headers are not to be trusted.
            return Input(
                where,
                Unreadable(reason),
                Cause(where, where),
                inbox_id("", where),
                dead_letter=dead_letter,
                parked_place=token,
                replay=replay,
                place=where,
            )
        if item is None:
            # A replay that this version skips leaves no open letter.
            discarded.extend([token] if token is not None else [])
            return None
        record_id = item.inbox_id or inbox_id("", where)
        return Input(
            item.key,
            item.body,
            item.cause,
            item.inbox_id,
            None,
            dead_letter,
            parked_place=token,
            record_id=record_id,
            replay=replay,
            version=item.version,
            place=where,
        )

    def _letter_of(self, write: WriteDeadLetter, record: Record, reason: str, token: UUID) -> Message:
        if reason != "behind-parked":
            self._guard(record).count_failure(record)
        return write(record, reason, token)
