"""What follows from a lookup of an SMS that may be out already: it is never sent again on a guess."""

from hypothesis import given
from hypothesis import strategies as st

from services.notifier.domain.answers import Found, Missing, NoAnswer, NoLookup
from services.notifier.domain.in_doubt import (
    Attempt,
    LookUpAgain,
    LookupPolicy,
    SendAgain,
    Settle,
    count_lookup,
    next_step,
)

POLICY = LookupPolicy()
LAST = len(POLICY.pauses_s)


def test_an_sms_that_the_provider_has_is_sent() -> None:
    assert next_step(Found("status-0"), Attempt("smsc", 5, 1), POLICY) == Settle("sent", "status-0")


def test_an_sms_that_the_provider_gave_up_is_failed() -> None:
    assert next_step(Found("status-22", "failed"), Attempt("smsc", 5, 1), POLICY) == Settle("failed", "status-22")


def test_an_sms_that_the_last_lookup_finds_is_not_unknown() -> None:
    assert next_step(Found("status-1"), Attempt("smsc", 20_000, LAST), POLICY) == Settle("sent", "status-1")


def test_an_sms_is_sent_again_only_after_a_minute_and_repeated_misses() -> None:
    assert next_step(Missing(), Attempt("smsc", 61, 2, misses=2), POLICY) == SendAgain()
    assert next_step(Missing(), Attempt("smsc", 60, 2, misses=2), POLICY) == LookUpAgain(30)
    assert next_step(Missing(), Attempt("smsc", 600, 1, misses=1), POLICY) == LookUpAgain(15)


def test_without_a_lookup_call_an_sms_in_doubt_is_unknown() -> None:
    assert next_step(NoLookup(), Attempt("kannel", 5, 1), POLICY) == Settle("unknown", "cannot-be-asked")


def test_a_lookup_without_an_answer_is_no_reason_to_send_again() -> None:
    assert next_step(NoAnswer("ReadTimeout"), Attempt("smsc", 600, 5, misses=4), POLICY) == LookUpAgain(120)


def test_after_the_last_lookup_the_sms_is_unknown() -> None:
    assert next_step(NoAnswer("http-500"), Attempt("smsc", 20_000, LAST), POLICY) == Settle("unknown", "not-resolved")
    assert next_step(Missing(), Attempt("smsc", 20_000, LAST, misses=1), POLICY) == Settle("unknown", "not-resolved")


def test_a_lookup_without_an_answer_counts_as_a_lookup_but_not_as_a_miss() -> None:
    assert count_lookup(Attempt("smsc", 5, 1, misses=1), NoAnswer("9")) == Attempt("smsc", 5, 2, misses=1)
    assert count_lookup(Attempt("smsc", 5, 1, misses=1), Missing()) == Attempt("smsc", 5, 2, misses=2)


def test_at_most_three_lookups_fall_into_one_minute() -> None:
    moments = [sum(POLICY.pauses_s[: n + 1]) for n in range(LAST)]

    assert all(sum(start <= moment < start + 60 for moment in moments) <= 3 for start in moments)


@given(st.lists(st.sampled_from([Missing(), NoAnswer("down")]), min_size=LAST, max_size=LAST))
def test_whatever_the_lookups_find_they_come_to_an_end(answers: list[Missing | NoAnswer]) -> None:
    attempt, step = Attempt("smsc"), None
    for answer in answers:
        attempt = count_lookup(Attempt("smsc", attempt.age_s + 70, attempt.lookups, attempt.misses), answer)
        step = next_step(answer, attempt, POLICY)
        if isinstance(step, SendAgain):
            attempt = Attempt("smsc", 0, attempt.lookups)

    assert step == Settle("unknown", "not-resolved")
