"""Where a consumer stands in its partitions, and what people read of it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chassis import program
from chassis.consumer.reader import UnreadablePartition
from chassis.consumer.stops import Pause


@dataclass(frozen=True, slots=True)
class Standing:
    """Where this process stands in a partition that it reads.

    `next_offset`: the first record that is not handled. `unreadable_at`: the record that cannot be read. `paused`: the
    topic is paused. `retried`: offsets of a batch that fails again and again.
    """

    next_offset: int
    unreadable_at: int | None
    paused: bool
    retried: frozenset[int]


def standstill(paused: Mapping[str, Pause], unreadable: Sequence[UnreadablePartition]) -> str | None:
    """For health: what is not read, since when, why, and the command to run. None if everything is read."""
    run, by = program.command(), "--who … --why …"
    reasons = [
        f"{topic} is paused since {pause.since:%Y-%m-%d %H:%M:%S} UTC: {pause.reason};"
        f" repair the cause, then run `{run} resume {topic} {by}`"
        for topic, pause in sorted(paused.items())
    ]
    reasons += [
        f"{one.topic}/{one.partition} cannot be read at offset {one.offset}"
        f" for {time.monotonic() - one.since:.0f} s: {one.error};"
        f" to go on without the record, run `{run} skip {one.topic} {one.partition} {one.offset} {by}`"
        for one in unreadable
    ]
    return "; ".join(reasons) or None
