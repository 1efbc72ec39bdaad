"""What an error of 1C means for the work row: when it is retried, or that it is parked for a person."""

from dataclasses import dataclass
from typing import Final

from chassis.service import Answer, Job, Park, Retry, backoff_s
from services.onec_gateway.onec.errors import NoAnswer, NoRights, NotReached, OneCError, Paused

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0


def pause_s(job: Job) -> float:
    """Seconds until the next attempt if this one fails; random, so it is called once for each attempt."""
    return backoff_s(job.attempt, FIRST_PAUSE_S, LONGEST_PAUSE_S)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The pauses that an operator sets, in seconds.

    `longest_call_s`: after an answer was lost, 1C may carry the write out for at most this time.
    `no_rights_s`: the pause while the exchange user lacks rights, which only an administrator can grant.
    """

    longest_call_s: float
    no_rights_s: float

    def after_read(self, error: OneCError, after_s: float) -> Retry:
        """Retry a read after any error: a read has no effect, and a lead waits for as long as 1C needs.

        `after_s` is the pause in seconds, unless the error determines one.
        """
        if isinstance(error, Paused):
            after_s = error.after_s
        elif isinstance(error, NoRights):
            after_s = self.no_rights_s
        return Retry(_note(error), no_effect=isinstance(error, NotReached), after_s=after_s)

    def unless_refused(self, error: OneCError, after_s: float) -> Answer:
        """Retry, or park the row if 1C refused the request: repeating it would not help."""
        if isinstance(error, (NoAnswer, NotReached)):
            return self.after_read(error, after_s)
        return Park(_note(error))

    def after_write(self, error: OneCError, after_s: float) -> Answer:
        """Like `unless_refused`, but after a lost answer wait until 1C cannot still carry the write out."""
        if isinstance(error, NoAnswer):
            return Retry(_note(error), after_s=self.longest_call_s)
        return self.unless_refused(error, after_s)

    def outcome_unknown(self) -> Retry:
        """Wait until 1C cannot still carry out the write of a process that ended in the middle of its call."""
        return Retry("outcome-unknown", no_effect=True, after_s=self.longest_call_s)


def _note(error: OneCError) -> str:
    """The work row's note, which an administrator reads: the reason, HTTP status, 1C's code and 1C's text."""
    details = [f"HTTP {error.status}"] if error.status is not None else []
    details += [f"код {error.code}"] if error.code is not None else []
    note = f"{error.reason} ({', '.join(details)})" if details else error.reason
    return f"{note}: {error.text}" if error.text else note
