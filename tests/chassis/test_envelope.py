"""The headers of events, and ids that are derived from causes."""

import uuid
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from chassis.decision import Cause, derived_id, named_id
from chassis.envelope import Outgoing, cause_of, encode, headers_from_json, inbox_id, read_headers
from tests.chassis.sample import Counted

AT = datetime(2026, 11, 24, tzinfo=UTC)


def test_an_event_id_follows_from_cause_kind_and_number() -> None:
    assert derived_id("a", "counted.v1") == derived_id("a", "counted.v1", 0)
    assert len({derived_id("a", "counted.v1"), derived_id("a", "counted.v1", 1), derived_id("b", "counted.v1")}) == 3


@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1))
def test_messages_with_the_same_source_and_id_are_the_same(source: str, one: str, other: str) -> None:
    assert (inbox_id(source, one) == inbox_id(source, other)) == (one == other)


def test_an_event_has_the_correlation_cause_sequence_and_trace_in_its_headers() -> None:
    cause = Cause("c1", "correlation", "00-" + "a" * 32 + "-" + "b" * 16 + "-01")

    event = encode(
        Counted(name="n", n=1, count=1),
        event_id=derived_id("c1", "counted.v1"),
        source="/truce/sample",
        at=AT,
        cause=cause,
        sequence=7,
    )
    headers = read_headers(event.headers)

    assert cause_of(headers).correlation == "correlation"
    assert headers["ce_causationid"] == "c1"
    assert headers["ce_sequence"] == "7"
    assert headers["traceparent"].startswith("00-" + "a" * 32)
    assert headers_from_json(event.stored) == event.texts


def test_header_bytes_that_are_not_utf8_are_replaced() -> None:
    assert read_headers([("ok", b"1"), ("odd", b"\xff"), ("none", None)]) == {"ok": "1", "odd": "\ufffd"}


def counted(name: str, note: str, correlation: str = "c") -> Outgoing:
    cause = Cause("c1", correlation)
    message = Counted(name=name, n=1, count=1, note=note)
    return encode(message, event_id=derived_id("c1", "k"), source="/truce/sample", at=AT, cause=cause, sequence=1)


@given(st.text(), st.text(), st.text())
def test_an_event_is_storable_if_and_only_if_none_of_its_texts_holds_nul(name: str, note: str, trace: str) -> None:
    assert counted(name, note, trace).is_storable() == ("\0" not in name + note + trace)


@given(st.text("\\u0\0", max_size=12))
def test_the_letters_of_an_escape_are_not_taken_for_nul(text: str) -> None:
    assert counted("a", text).is_storable() == ("\0" not in text)
    assert counted("a", "", text).is_storable() == ("\0" not in text)


def test_nul_in_a_header_is_replaced() -> None:
    assert read_headers([("ce_correlationid", b"a\0b")]) == {"ce_correlationid": "a\ufffdb"}


@given(st.text(max_size=100))
def test_derived_ids_are_those_of_rfc_9562(name: str) -> None:
    assert named_id(uuid.NAMESPACE_URL, name) == uuid.uuid5(uuid.NAMESPACE_URL, name)
