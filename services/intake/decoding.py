"""Requests of portals are checked, opened, normalised, keyed and sealed here, before any transaction begins."""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from chassis.decision import Cause, derived_id
from chassis.service import Input, Poison, Record
from contracts import topics
from contracts.base import Message
from contracts.dead_letters import REPLAY, REPLAY_SINCE, record_bytes
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
from contracts.text import INVALID_NAME, INVALID_PHONE, INVALID_TEXT
from services.intake.domain.lead_requests import (
    FoldedName,
    LeadRequest,
    Return,
    RewardClaim,
    RewardSettlement,
    Withdrawal,
)
from services.intake.domain.model import FaultyRequest, Lead, Origin, PartnerRegistration, Submission
from services.intake.settings import Settings

M = TypeVar("M", bound=BaseModel)

LeadRequestBody = ReturnLead | WithdrawLead | ClaimReward | SettleReward
_KINDS: dict[str, type[Message]] = {
    kind.ce_type: kind for kind in (RegisterPartner, SubmitLead, ReturnLead, WithdrawLead, ClaimReward, SettleReward)
}

# Ids from portals become headers and column values: PostgreSQL cannot store NUL, and Kafka refuses too large a record.
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,255}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

# pydantic finds a lone surrogate by itself in a field that has no type of `contracts.text`.
_TEXT_CODES: Final = {
    INVALID_TEXT: "invalid-text",
    INVALID_NAME: "invalid-name",
    INVALID_PHONE: "invalid-phone",
    "string_unicode": "invalid-text",
}


def is_request_id(text: str | None) -> bool:
    """Whether a text is allowed as a portal's id of a request: 1 to 255 visible ASCII characters."""
    return text is not None and _REQUEST_ID.fullmatch(text) is not None


def incoming_trace(correlation: str | None, traceparent: str | None) -> Cause:
    """A cause without an id that carries a portal's correlation id and trace; malformed values are dropped."""
    kept = correlation if correlation is not None and is_request_id(correlation) else ""
    return Cause("", kept, traceparent if traceparent is not None and _TRACEPARENT.fullmatch(traceparent) else None)


class InvalidText(ValueError):
    """A text holds forbidden characters. `code` is the refusal, `field` the path of the text in the request."""

    def __init__(self, code: str, field: str) -> None:
        super().__init__(code)
        self.code = code
        self.field = field


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
        """Raises Unsealable, InvalidText, PlainNotAllowed."""
        typed = self._plain_person(body.client, over_http, "client")
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
        self,
        portal: str,
        key: str,
        body: RegisterPartner,
        trace: Cause,
        *,
        over_http: bool,
        first_read_at: datetime | None = None,
    ) -> PreparedRequest:
        """`first_read_at`: when the original of a replay was read; None for any other request.

        Raises Unsealable, InvalidText, PlainNotAllowed; ValueError for a partner without a person.
        """
        if body.person is not None:
            typed = self._plain_person(body.person, over_http, "person")
        elif body.full_name is not None and body.phone is not None:
            typed = self._plain_person(PlainPerson(full_name=body.full_name, phone=body.phone), over_http, "")
        else:
            raise ValueError("no person")
        agreement = body.agreement.model_dump(mode="json")
        content = [body.partner_id, typed.full_name, typed.phone, agreement, body.status]
        origin = Origin(portal, key, self._digest(content), RegisterPartner.ce_type, over_http)
        cause = _cause(origin, trace)
        registration = PartnerRegistration(
            origin, body.partner_id, body.agreement, body.status, first_read_at=first_read_at
        )
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
        """Raises Unsealable, InvalidText, PlainNotAllowed."""
        content = body.model_dump(mode="json")
        typed = None
        if isinstance(body, ReturnLead):
            typed = self._plain_person(body.client, over_http, "client")
            content["client"] = [typed.full_name, typed.phone]
            if not body.again:
                # A request that an earlier version took, which had no such field, is recognised when it is repeated.
                del content["again"]
        origin = Origin(portal, key, self._digest([content]), body.ce_type, over_http)
        state_key, request = self._lead_request(origin, body, typed)
        return Input(state_key, request, _cause(origin, trace))

    def decode(self, record: Record, headers: dict[str, str]) -> Input:
        """The input of a record on a portal's topic; the topic's name determines the portal. Raises Poison."""
        item = self._decode(record, headers)
        if record_bytes(record) > topics.MAX_REQUEST_RECORD_BYTES:
            # If its client is parked, a letter must keep the request whole, so that it can be replayed.
            raise Poison("too-large")
        return item

    def _decode(self, record: Record, headers: dict[str, str]) -> Input:
        portal = record.topic.removeprefix(f"{topics.PORTAL_REQUESTS}.")
        key, kind = headers.get("ce_id"), headers.get("ce_type")
        if key is None or not is_request_id(key) or not kind:
            raise Poison("no-envelope")
        if kind not in _KINDS:
            raise Poison("unknown-type")
        trace = incoming_trace(headers.get("ce_correlationid"), headers.get("traceparent"))
        try:
            body = _read(_KINDS[kind], record.value or b"")
            if isinstance(body, SubmitLead):
                return self.submission(portal, key, body, trace, over_http=False).input
            if isinstance(body, RegisterPartner):
                first_read_at = _first_read(headers)
                return self.registration(portal, key, body, trace, over_http=False, first_read_at=first_read_at).input
            assert isinstance(body, LeadRequestBody)
            item = self.lead_request(portal, key, body, trace, over_http=False)
            if isinstance(item.body, RewardSettlement):
                return replace(item, body=replace(item.body, first_read_at=_first_read(headers)))
            return item
        except InvalidText as error:
            return self._faulty_request(portal, key, kind, record.value or b"", error, trace)
        except PlainNotAllowed:
            raise Poison("plain-client") from None
        except Unsealable:
            raise Poison("does-not-open") from None
        except ValueError:
            raise Poison("invalid") from None

    def _faulty_request(
        self, portal: str, key: str, kind: str, content: bytes, error: InvalidText, trace: Cause
    ) -> Input:
        origin = Origin(portal, key, self._digest_of(content), kind, over_http=False)
        request = FaultyRequest(origin, error.code, error.field)
        return Input(f"request:{portal}/{key}", request, _cause(origin, trace))

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

    def _plain_person(self, client: PlainPerson | str, over_http: bool, field: str) -> PlainPerson:
        """The person in a request, at the path `field`."""
        if isinstance(client, PlainPerson):
            # Over HTTP the transport encrypts the client; a topic stores the record as it is.
            if not over_http and not self._plain_on_topic:
                raise PlainNotAllowed("a client on a topic must be sealed")
            return client
        try:
            return _read(PlainPerson, decrypt_with([self._unsealing], client), (field,))
        except ValidationError:
            raise Unsealable("holds no client") from None

    def _digest(self, content: list[Any]) -> str:
        """A hash of a request's content, in hex. It is keyed, so nobody can find the phone by trying phones."""
        return self._digest_of(orjson.dumps(content))

    def _digest_of(self, content: bytes) -> str:
        return hmac.digest(self._secret, b"digest\n" + content, hashlib.sha256).hex()


def text_code(kind: str) -> str | None:
    """The published code of an error about forbidden characters, by pydantic's type of the error; None for others."""
    return _TEXT_CODES.get(kind)


def field_path(place: Sequence[str | int]) -> str:
    """The dotted path of a field in a request, from the place of an error of pydantic."""
    return ".".join(str(part) for part in place if part not in ("body", "PlainPerson", "str"))


def _read(model: type[M], content: bytes, place: tuple[str, ...] = ()) -> M:
    """The model in a JSON text that stands at `place` in the request. Raises InvalidText, and ValidationError."""
    try:
        try:
            return model.model_validate_json(content)
        except ValidationError as error:
            if error.errors()[0]["type"] != "json_invalid":
                raise
            # pydantic's parser takes a lone surrogate for a mistake in the JSON; Python's parser lets the field be
            # named, as FastAPI does for requests over HTTP.
            return model.model_validate(_parsed(content, error))
    except ValidationError as error:
        for one in error.errors(include_url=False, include_input=False):
            if (code := text_code(one["type"])) is not None:
                raise InvalidText(code, field_path((*place, *one["loc"]))) from None
        raise


def _parsed(content: bytes, error: ValidationError) -> Any:
    """The value of a JSON text, as Python's parser reads it. Raises `error` if it is not JSON."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise error from None


def _cause(origin: Origin, trace: Cause) -> Cause:
    # The id depends on the content too: other content under the same request id is another cause.
    identity = str(derived_id(f"{origin.portal}/{origin.key}/{origin.digest}", origin.kind))
    return Cause(identity, trace.correlation or identity, trace.traceparent)


def _first_read(headers: Mapping[str, str]) -> datetime | None:
    """When the original of a replay was first read; None for a record that is no replay, or an earlier version's."""
    mark, since = headers.get(REPLAY), headers.get(REPLAY_SINCE)
    if mark is None or since is None:
        return None
    try:
        at = datetime.fromisoformat(since)
    except ValueError:
        return None
    if at.tzinfo is None:
        return None
    # A record that was parked has a token, and none overtook it. One that was not was overtaken by the later records of
    # its own batch, which have the same time.
    return at if " " in mark else at - datetime.resolution


def _fold(name: str) -> FoldedName:
    """A name for comparison: case, ё/е, spaces and the order of the words do not matter."""
    return tuple(sorted(fold_name(name).split()))


def _refusal(error: InvalidName | InvalidPhone) -> str:
    return "invalid-name" if isinstance(error, InvalidName) else "invalid-phone"
