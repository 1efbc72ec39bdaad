"""What the rules read about a batch of portals' requests, in one query: earlier requests, numbers, partners, scopes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from chassis.service import Connection, Input, rows
from services.intake.domain.model import Origin, PartnerRegistration, RecordedRequest, RequestKey, Submission

# OFFSET 0 keeps the planner from joining: each request is looked up by its key, whatever the table's statistics are.
_CONTEXT = """
    SELECT
        (SELECT array_agg(ROW(r.portal, r.key, r.digest, r.kind, r.reason, r.lead_id, r.done_at, r.result))
         FROM (SELECT DISTINCT * FROM unnest($1::text[], $2::text[]) AS u (portal, key)) u,
         LATERAL (SELECT * FROM requests q WHERE q.portal = u.portal AND q.key = u.key OFFSET 0) r),
        (SELECT array_agg(ROW(client_key, last)) FROM (
            SELECT client_key, max(received_at) AS last FROM leads WHERE client_key = ANY($3::text[])
            GROUP BY client_key) l),
        (SELECT array_agg(nextval('lead_numbers')) FROM generate_series(1, $4::integer)),
        (SELECT array_agg(ROW(partner_id, status)) FROM partners WHERE partner_id = ANY($5::text[])),
        (SELECT array_agg(ROW(name, scopes)) FROM portals WHERE name = ANY($6::text[]) AND key_hash IS NOT NULL)
"""


@dataclass(frozen=True, slots=True)
class RequestContext:
    """Facts about a batch of requests.

    `last_received` maps client keys to the newest receipt time. `numbers` holds one new lead number for each
    submission, ascending. `partner_statuses` maps partner ids to `active` or `suspended`. `scopes` covers the portals
    of requests from topics only: HTTP has checked the scopes of its portals.
    """

    requests: Mapping[RequestKey, RecordedRequest] = field(default_factory=dict)
    last_received: Mapping[str, datetime] = field(default_factory=dict)
    numbers: Sequence[int] = ()
    partner_statuses: Mapping[str, str] = field(default_factory=dict)
    scopes: Mapping[str, frozenset[str]] = field(default_factory=dict)


async def fetch_context(tx: Connection, inputs: Sequence[Input]) -> RequestContext:
    """The facts that the rules need about portals' requests; every body of `inputs` has an origin."""
    bodies = [item.body for item in inputs]
    origins = [body.origin for body in bodies]
    submissions = [item for item in inputs if isinstance(item.body, Submission)]
    ((requests, last_received, numbers, statuses, scopes),) = await rows(
        tx,
        _CONTEXT,
        [origin.portal for origin in origins],
        [origin.key for origin in origins],
        sorted({item.key for item in submissions}),
        len(submissions),
        sorted({body.partner_id for body in bodies if isinstance(body, (Submission, PartnerRegistration))}),
        sorted({origin.portal for origin in origins if not origin.over_http}),
    )
    return RequestContext(
        requests={
            (portal, key): RecordedRequest(
                Origin(portal, key, digest, kind, over_http=True), reason, lead_id, done_at, result
            )
            for portal, key, digest, kind, reason, lead_id, done_at, result in requests or ()
        },
        last_received=dict(last_received or ()),
        numbers=sorted(numbers or ()),
        partner_statuses=dict(statuses or ()),
        scopes={name: frozenset(allowed) for name, allowed in scopes or ()},
    )
