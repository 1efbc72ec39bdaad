"""What may be done about a message that may be out already: never a guess."""

from hypothesis import given
from hypothesis import strategies as st

from services.notifier.answers import (
    Attempt,
    CannotTell,
    Found,
    LookAgain,
    Missing,
    NoWord,
    Patience,
    SendAgain,
    Settle,
    after_look,
    looked,
)

PATIENCE = Patience()
LAST = len(PATIENCE.waits_s)


def test_a_message_that_is_found_is_sent() -> None:
    assert after_look(Found("status-0"), Attempt("smsc", 5, 1), PATIENCE) == Settle("sent", "status-0")


def test_a_message_the_provider_gave_up_on_is_failed() -> None:
    assert after_look(Found("status-22", "failed"), Attempt("smsc", 5, 1), PATIENCE) == Settle("failed", "status-22")


def test_found_at_the_last_look_is_not_unknown() -> None:
    assert after_look(Found("status-1"), Attempt("smsc", 20_000, LAST), PATIENCE) == Settle("sent", "status-1")


def test_it_is_sent_again_only_after_a_minute_and_repeated_misses() -> None:
    assert after_look(Missing(), Attempt("smsc", 61, 2, missing=2), PATIENCE) == SendAgain()
    assert after_look(Missing(), Attempt("smsc", 60, 2, missing=2), PATIENCE) == LookAgain(30)
    assert after_look(Missing(), Attempt("smsc", 600, 1, missing=1), PATIENCE) == LookAgain(15)


def test_a_provider_that_keeps_no_book_leaves_it_unknown() -> None:
    assert after_look(CannotTell(), Attempt("kannel", 5, 1), PATIENCE) == Settle("unknown", "cannot-be-asked")


def test_a_provider_that_cannot_be_asked_is_no_reason_to_repeat() -> None:
    assert after_look(NoWord("ReadTimeout"), Attempt("smsc", 600, 5, missing=4), PATIENCE) == LookAgain(120)


def test_after_the_last_look_it_is_unknown() -> None:
    assert after_look(NoWord("http-500"), Attempt("smsc", 20_000, LAST), PATIENCE) == Settle("unknown", "not-resolved")
    assert after_look(Missing(), Attempt("smsc", 20_000, LAST, missing=1), PATIENCE) == Settle(
        "unknown", "not-resolved"
    )


def test_a_look_that_could_not_ask_counts_as_a_look_and_not_as_a_miss() -> None:
    assert looked(Attempt("smsc", 5, 1, missing=1), NoWord("9")) == Attempt("smsc", 5, 2, missing=1)
    assert looked(Attempt("smsc", 5, 1, missing=1), Missing()) == Attempt("smsc", 5, 2, missing=2)


def test_no_more_than_three_looks_fall_into_one_minute() -> None:
    moments = [sum(PATIENCE.waits_s[: n + 1]) for n in range(LAST)]

    assert all(sum(start <= moment < start + 60 for moment in moments) <= 3 for start in moments)


@given(st.lists(st.sampled_from([Missing(), NoWord("down")]), min_size=LAST, max_size=LAST))
def test_whatever_the_looks_say_it_ends(answers: list[Missing | NoWord]) -> None:
    attempt, step = Attempt("smsc"), None
    for answer in answers:
        attempt = looked(Attempt("smsc", attempt.age_s + 70, attempt.looks, attempt.missing), answer)
        step = after_look(answer, attempt, PATIENCE)
        if isinstance(step, SendAgain):
            attempt = Attempt("smsc", 0, attempt.looks)

    assert step == Settle("unknown", "not-resolved")
