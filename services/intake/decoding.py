"""Requests of portals are checked, opened, normalised, keyed and sealed here, before any transaction begins."""

import hashlib
import hmac
import re
from dataclasses import dataclass, replace
from typing import Any

import orjson
from pydantic import ValidationError

from chassis.decision import Cause, derived_id
from chassis.service import Input, Poison, Record
from contracts import topics
from contracts.base import Message
from contracts.person import InvalidName, InvalidPhone, Person, client_key, fold_name
from contracts.portal import (
    ClaimReward,
    PlainPerson,
    RegisterPartner,
    ReturnLead,
    SettleReward,
    SubmitLead,
    WithdrawLead,
)
from contracts.sealing import Sealer, Unsealable, decrypt_with
from services.intake.domain.lead_requests import (
    FoldedName,
    LeadRequest,
    Return,
    RewardClaim,
    RewardSettlement,
    Withdrawal,
)
from services.intake.domain.model import Lead, Origin, PartnerRegistration, Submission
from services.intake.settings import Settings

LeadRequestBody = ReturnLead | WithdrawLead | ClaimReward | SettleReward
_KINDS: dict[str, type[Message]] = {
    kind.ce_type: kind for kind in (RegisterPartner, SubmitLead, ReturnLead, WithdrawLead, ClaimReward, SettleReward)
}

# Ids from portals become headers and column values: PostgreSQL cannot store NUL, and Kafka refuses too large a record.
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,255}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def is_request_id(text: str | None) -> bool:
    """Whether a text is allowed as a portal's id of a request: 1 to 255 visible ASCII characters."""
    return text is not None and _REQUEST_ID.fullmatch(text) is not None


def incoming_trace(correlation: str | None, traceparent: str | None) -> Cause:
    """A cause without an id that carries a portal's correlation id and trace; malformed values are dropped."""
    kept = correlation if correlation is not None and is_request_id(correlation) else ""
    return Cause("", kept, traceparent if traceparent is not None and _TRACEPARENT.fullmatch(traceparent) else None)


class InvalidAgreement(ValueError):
    """The agreement's number holds unprintable characters. The message holds no part of the number."""


class PlainNotAllowed(ValueError):
    """The client is readable on a topic where only sealed clients are allowed."""


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """A request that is ready for its rule. `client` is the person in it, None if name or phone are invalid."""

    input: Input
    client: Person | None = None


class RequestDecoder:
    """Turns requests of portals into inputs of rules.

    In all methods `portal` is the portal's name, `key` its id of the request, `trace` the result of `incoming_trace`.
    A refusal that follows from the content alone is a field of the input; the rule publishes it.
    """

    def __init__(self, settings: Settings) -> None:
        self._secret = settings.secret
        self._sealer = Sealer(settings.sealing_keys.get_secret_value())
        self._unsealing = settings.unsealing_jwk
        self._plain_on_topic = settings.accept_plain_clients

    def open_client(self, lead: Lead) -> Person | None:
        """The client of a lead, None after erasure. Raises Unsealable."""
        return self._sealer.open(lead.client, str(lead.lead_id)) if lead.client is not None else None

    def name_of(self, lead: Lead) -> FoldedName:
        """The folded name of a lead's client, empty after erasure. Raises Unsealable."""
        client = self.open_client(lead)
        return _fold(client.full_name) if client is not None else ()

    def submission(self, portal: str, key: str, body: SubmitLead, trace: Cause, *, over_http: bool) -> PreparedRequest:
        """Raises Unsealable, PlainNotAllowed."""
        typed = self._plain_person(body.client, over_http)
        consent = None if body.consent is None else body.consent.model_dump(mode="json")
        content = [body.partner_id, typed.full_name, typed.phone, consent, body.note]
        origin = Origin(portal, key, self._digest(content), SubmitLead.ce_type, over_http)
        cause = _cause(origin, trace)
        try:
            client = Person.parse(typed.full_name, typed.phone)
        except (InvalidName, InvalidPhone) as error:
            refused = Submission(origin, body.partner_id, refusal=_refusal(error))
            return PreparedRequest(Input(f"request:{portal}/{key}", refused, cause))
        owner = client_key(self._secret, client.phone)
        sealed = self._sealer.seal(client, str(origin.lead_id))
        submission = Submission(origin, body.partner_id, owner, sealed, body.consent)
        return PreparedRequest(Input(owner, submission, cause), client)

    def registration(
        self, portal: str, key: str, body: RegisterPartner, trace: Cause, *, over_http: bool
    ) -> PreparedRequest:
        """Raises Unsealable, PlainNotAllowed, InvalidAgreement; ValueError for a partner without a person."""
        if not body.agreement.number.isprintable():
            raise InvalidAgreement("unprintable characters in the agreement's number")
        if body.person is not None:
            typed = self._plain_person(body.person, over_http)
        elif body.full_name is not None and body.phone is not None:
            typed = self._plain_person(PlainPerson(full_name=body.full_name, phone=body.phone), over_http)
        else:
            raise ValueError("no person")
        agreement = body.agreement.model_dump(mode="json")
        content = [body.partner_id, typed.full_name, typed.phone, agreement, body.status]
        origin = Origin(portal, key, self._digest(content), RegisterPartner.ce_type, over_http)
        cause = _cause(origin, trace)
        registration = PartnerRegistration(origin, body.partner_id, body.agreement, body.status)
        try:
            person = Person.parse(typed.full_name, typed.phone)
        except (InvalidName, InvalidPhone) as error:
            refused = replace(registration, refusal=_refusal(error))
            return PreparedRequest(Input(body.partner_id, refused, cause))
        registration = replace(
            registration,
            person=self._sealer.seal(person, body.partner_id),
            digest=self._digest([person.full_name, person.phone]),
        )
        return PreparedRequest(Input(body.partner_id, registration, cause), person)

    def lead_request(self, portal: str, key: str, body: LeadRequestBody, trace: Cause, *, over_http: bool) -> Input:
        """Raises Unsealable, PlainNotAllowed."""
        content = body.model_dump(mode="json")
        typed = None
        if isinstance(body, ReturnLead):
            typed = self._plain_person(body.client, over_http)
            content["client"] = [typed.full_name, typed.phone]
            if not body.again:
                # A request that an earlier version took, which had no such field, is recognised when it is repeated.
                del content["again"]
        origin = Origin(portal, key, self._digest([content]), body.ce_type, over_http)
        state_key, request = self._lead_request(origin, body, typed)
        return Input(state_key, request, _cause(origin, trace))

    def decode(self, record: Record, headers: dict[str, str]) -> Input:
        """The input of a record on a portal's topic; the topic's name determines the portal. Raises Poison."""
        portal = record.topic.removeprefix(f"{topics.PORTAL_REQUESTS}.")
        key, kind = headers.get("ce_id"), headers.get("ce_type")
        if key is None or not is_request_id(key) or not kind:
            raise Poison("no-envelope")
        if kind not in _KINDS:
            raise Poison("unknown-type")
        trace = incoming_trace(headers.get("ce_correlationid"), headers.get("traceparent"))
        try:
            body = _KINDS[kind].model_validate_json(record.value or b"")
            if isinstance(body, SubmitLead):
                return self.submission(portal, key, body, trace, over_http=False).input
            if isinstance(body, RegisterPartner):
                return self.registration(portal, key, body, trace, over_http=False).input
            assert isinstance(body, LeadRequestBody)
            return self.lead_request(portal, key, body, trace, over_http=False)
        except PlainNotAllowed:
            raise Poison("plain-client") from None
        except Unsealable:
            raise Poison("does-not-open") from None
        except ValueError:
            raise Poison("invalid") from None

    def _lead_request(
        self, origin: Origin, body: LeadRequestBody, typed: PlainPerson | None
    ) -> tuple[str, LeadRequest]:
        """The key of the state that the request is decided on, and the request. `typed` is set for returns."""
        match body:
            case ReturnLead():
                assert typed is not None
                request = Return(origin, body.partner_id, body.manager, body.reason, again=body.again)
                try:
                    client = Person.parse(typed.full_name, typed.phone)
                except (InvalidName, InvalidPhone) as error:
                    return f"request:{origin.portal}/{origin.key}", replace(request, refusal=_refusal(error))
                owner = client_key(self._secret, client.phone)
                return owner, replace(request, client_key=owner, name=_fold(client.full_name))
            case WithdrawLead():
                exactly_one = (body.partner_id is None) != (body.manager is None)
                refusal = None if exactly_one else "who-asks"
                withdrawal = Withdrawal(origin, body.lead_id, body.partner_id, body.manager, body.reason, refusal)
                return f"lead:{body.lead_id}", withdrawal
            case ClaimReward():
                return f"lead:{body.lead_id}", RewardClaim(origin, body.lead_id, body.partner_id, body.note)
            case SettleReward():
                complete = body.decision == "decline" or (
                    body.amount is not None and body.amount > 0 and body.currency is not None
                )
                settlement = RewardSettlement(
                    origin,
                    body.claim_id,
                    body.decision,
                    body.amount,
                    body.currency,
                    body.reason,
                    body.decided_by,
                    None if complete else "no-amount",
                )
                return f"claim:{body.claim_id}", settlement

    def _plain_person(self, client: PlainPerson | str, over_http: bool) -> PlainPerson:
        if isinstance(client, PlainPerson):
            # Over HTTP the transport encrypts the client; a topic stores the record as it is.
            if not over_http and not self._plain_on_topic:
                raise PlainNotAllowed("a client on a topic must be sealed")
            return client
        try:
            return PlainPerson.model_validate_json(decrypt_with([self._unsealing], client))
        except ValidationError:
            raise Unsealable("holds no client") from None

    def _digest(self, content: list[Any]) -> str:
        """A hash of a request's content, in hex. It is keyed, so nobody can find the phone by trying phones."""
        return hmac.digest(self._secret, b"digest\n" + orjson.dumps(content), hashlib.sha256).hex()


def _cause(origin: Origin, trace: Cause) -> Cause:
    # The id depends on the content too: other content under the same request id is another cause.
    identity = str(derived_id(f"{origin.portal}/{origin.key}/{origin.digest}", origin.kind))
    return Cause(identity, trace.correlation or identity, trace.traceparent)


def _fold(name: str) -> FoldedName:
    """A name for comparison: case, ё/е, spaces and the order of the words do not matter."""
    return tuple(sorted(fold_name(name).split()))


def _refusal(error: InvalidName | InvalidPhone) -> str:
    return "invalid-name" if isinstance(error, InvalidName) else "invalid-phone"
