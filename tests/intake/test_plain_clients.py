"""Intake with the setting that allows readable clients on portals' topics."""

import pytest

from tests.intake.harness import Portal

pytestmark = [pytest.mark.infra, pytest.mark.plain_clients]

CLIENT = {"full_name": "  ветлугин   Пётр ", "phone": "8 (916) 555-01-23"}


async def test_plain_client_on_a_topic_is_taken_where_the_operator_allows_it(portal: Portal) -> None:
    await portal.register()

    await portal.send(
        "p1", {"partner_id": portal.partner, "client": CLIENT, "consent": {"given_at": "2026-11-01T12:00:00Z"}}
    )
    await portal.send(
        "p2",
        {
            "partner_id": portal.partner,
            "client": {**CLIENT, "phone": "1"},
            "consent": {"given_at": "2026-11-01T12:00:00Z"},
        },
    )

    await portal.published("leads", "lead-submitted.v1", 1)
    (refused,) = await portal.published("leads", "request-refused.v1", 1)
    assert refused["reason"] == "invalid-phone"


async def test_broken_headers_of_a_record_do_not_block_later_records(portal: Portal) -> None:
    await portal.register()
    lead = {"partner_id": portal.partner, "client": CLIENT, "consent": {"given_at": "2026-11-01T12:00:00Z"}}

    await portal.send("a\0b", lead)
    await portal.send("a\0c", {**lead, "client": {**CLIENT, "phone": "1"}})
    await portal.send("long", lead, headers=[("ce_correlationid", b"x" * 300_000)])
    await portal.send("after", lead)

    letters = await portal.published("dead-letters", "dead-letter.v1", 2)
    assert [letter["reason"] for letter in letters] == ["no-envelope"] * 2
    submitted = await portal.published("leads", "lead-submitted.v1", 2)
    assert len({event["client_key"] for event in submitted}) == 1
    assert all(len(event["_headers"]["ce_correlationid"]) <= 255 for event in submitted)
