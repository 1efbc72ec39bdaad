"""From what portals send to what the domain decides: opened, normalised, keyed and sealed, before any transaction."""

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
from services.intake.domain import Lead, LeadRequest, Origin, PartnerRequest
from services.intake.later import Claim, Later, Name, Return, Settlement, Withdrawal
from services.intake.settings import Settings

LaterBody = ReturnLead | WithdrawLead | ClaimReward | SettleReward
_KINDS: dict[str, type[Message]] = {
    kind.ce_type: kind for kind in (RegisterPartner, SubmitLead, ReturnLead, WithdrawLead, ClaimReward, SettleReward)
}


# What a portal names goes on into our headers and rows: nothing PostgreSQL cannot hold, nothing too long for Kafka.
_ID = re.compile(r"[\x21-\x7e]{1,255}")
_TRACE = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def is_id(text: str | None) -> bool:
    """Whether a portal may name a request so: 1 to 255 visible ASCII characters."""
    return text is not None and _ID.fullmatch(text) is not None


def story(correlation: str | None, traceparent: str | None) -> Cause:
    """The story a request goes on with; what is not well formed begins a new one."""
    told = correlation if correlation is not None and is_id(correlation) else ""
    return Cause("", told, traceparent if traceparent is not None and _TRACE.fullmatch(traceparent) else None)


class InvalidAgreement(ValueError):
    """The agreement's number holds what cannot be printed. Carries no part of it."""


class PlainNotAllowed(ValueError):
    """A readable client where only a sealed one is taken."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request ready to be decided, and the client it is about, for the receipt."""

    input: Input
    client: Person | None = None


class Reader:
    """Reads portals' requests. `begun` is the story a request goes on with (see `story`)."""

    def __init__(self, settings: Settings) -> None:
        self._secret = settings.secret
        self._sealer = Sealer(settings.sealing_keys.get_secret_value())
        self._unsealing = settings.unsealing_jwk
        self._plain_on_topic = settings.accept_plain_clients

    def open(self, lead: Lead) -> Person | None:
        """A lead's client, unless it was erased. Raises Unsealable."""
        return self._sealer.open(lead.client, str(lead.lead_id)) if lead.client else None

    def lead(self, portal: str, key: str, body: SubmitLead, begun: Cause, *, answered: bool) -> Asked:
        """Raises Unsealable, PlainNotAllowed; what a portal may be told is a refusal inside."""
        typed = self._opened(body.client, answered)
        consent = None if body.consent is None else body.consent.model_dump(mode="json")
        content = [body.partner_id, typed.full_name, typed.phone, consent, body.note]
        origin = Origin(portal, key, self._digest(content), SubmitLead.ce_type, answered)
        cause = _cause(origin, begun)
        try:
            client = Person.parse(typed.full_name, typed.phone)
        except (InvalidName, InvalidPhone) as error:
            asked = LeadRequest(origin, body.partner_id, refusal=_refusal(error))
            return Asked(Input(f"request:{portal}/{key}", asked, cause))
        ours = client_key(self._secret, client.phone)
        sealed = self._sealer.seal(client, str(origin.lead_id))
        return Asked(Input(ours, LeadRequest(origin, body.partner_id, ours, sealed, body.consent), cause), client)

    def partner(self, portal: str, key: str, body: RegisterPartner, begun: Cause, *, answered: bool) -> Asked:
        """Raises Unsealable, PlainNotAllowed, InvalidAgreement, ValueError for a partner without a person."""
        if not body.agreement.number.isprintable():
            raise InvalidAgreement("unprintable characters in the agreement's number")
        if body.person is not None:
            typed = self._opened(body.person, answered)
        elif body.full_name is not None and body.phone is not None:
            typed = self._opened(PlainPerson(full_name=body.full_name, phone=body.phone), answered)
        else:
            raise ValueError("no person")
        agreement = body.agreement.model_dump(mode="json")
        content = [body.partner_id, typed.full_name, typed.phone, agreement, body.status]
        origin = Origin(portal, key, self._digest(content), RegisterPartner.ce_type, answered)
        cause = _cause(origin, begun)
        try:
            person = Person.parse(typed.full_name, typed.phone)
        except (InvalidName, InvalidPhone) as error:
            refused = PartnerRequest(origin, body.partner_id, body.agreement, body.status, refusal=_refusal(error))
            return Asked(Input(body.partner_id, refused, cause))
        asked = PartnerRequest(
            origin,
            body.partner_id,
            body.agreement,
            body.status,
            person=self._sealer.seal(person, body.partner_id),
            digest=self._digest([person.full_name, person.phone]),
        )
        return Asked(Input(body.partner_id, asked, cause), person)

    def name_of(self, lead: Lead) -> Name:
        """The name a lead was submitted with, for comparison. Raises Unsealable."""
        client = self.open(lead)
        return _comparable(client.full_name) if client is not None else ()

    def later(self, portal: str, key: str, body: LaterBody, begun: Cause, *, answered: bool) -> Input:
        """Raises Unsealable, PlainNotAllowed; what a portal may be told is a refusal inside."""
        content = body.model_dump(mode="json")
        typed = None
        if isinstance(body, ReturnLead):
            typed = self._opened(body.client, answered)
            content["client"] = [typed.full_name, typed.phone]
        origin = Origin(portal, key, self._digest([content]), body.ce_type, answered)
        target, asked = self._later(origin, body, typed)
        return Input(target, asked, _cause(origin, begun))

    def _later(self, origin: Origin, body: LaterBody, typed: PlainPerson | None) -> tuple[str, Later]:
        """What is asked, and the key under which it is decided."""
        match body:
            case ReturnLead():
                assert typed is not None
                asked = Return(origin, body.partner_id, body.manager, body.reason)
                try:
                    client = Person.parse(typed.full_name, typed.phone)
                except (InvalidName, InvalidPhone) as error:
                    return f"request:{origin.portal}/{origin.key}", replace(asked, refusal=_refusal(error))
                ours = client_key(self._secret, client.phone)
                return ours, replace(asked, client_key=ours, name=_comparable(client.full_name))
            case WithdrawLead():
                by_one = (body.partner_id is None) != (body.manager is None)
                refusal = None if by_one else "who-asks"
                withdrawal = Withdrawal(origin, body.lead_id, body.partner_id, body.manager, body.reason, refusal)
                return f"lead:{body.lead_id}", withdrawal
            case ClaimReward():
                return f"lead:{body.lead_id}", Claim(origin, body.lead_id, body.partner_id, body.note)
            case SettleReward():
                complete = body.decision == "decline" or (
                    body.amount is not None and body.amount > 0 and body.currency is not None
                )
                settlement = Settlement(
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

    def decode(self, record: Record, headers: dict[str, str]) -> Input:
        """A record of a portal's topic. Whose topic it is says whose request it is. Raises Poison."""
        portal = record.topic.removeprefix(f"{topics.PORTAL_REQUESTS}.")
        key, kind = headers.get("ce_id"), headers.get("ce_type")
        if key is None or not is_id(key) or not kind:
            raise Poison("no-envelope")
        if kind not in _KINDS:
            raise Poison("unknown-type")
        begun = story(headers.get("ce_correlationid"), headers.get("traceparent"))
        try:
            body = _KINDS[kind].model_validate_json(record.value or b"")
            if isinstance(body, SubmitLead):
                return self.lead(portal, key, body, begun, answered=False).input
            if isinstance(body, RegisterPartner):
                return self.partner(portal, key, body, begun, answered=False).input
            assert isinstance(body, LaterBody)
            return self.later(portal, key, body, begun, answered=False)
        except PlainNotAllowed:
            raise Poison("plain-client") from None
        except Unsealable:
            raise Poison("does-not-open") from None
        except ValueError:
            raise Poison("invalid") from None

    def _opened(self, client: PlainPerson | str, answered: bool) -> PlainPerson:
        if isinstance(client, PlainPerson):
            # Over HTTP the transport seals it; a topic keeps what it is given.
            if not answered and not self._plain_on_topic:
                raise PlainNotAllowed("a client must be sealed here")
            return client
        try:
            return PlainPerson.model_validate_json(decrypt_with([self._unsealing], client))
        except ValidationError:
            raise Unsealable("holds no client") from None

    def _digest(self, content: list[Any]) -> str:
        """A hash of a request's content that tells nobody the phone in it, since it is keyed."""
        return hmac.digest(self._secret, b"digest\n" + orjson.dumps(content), hashlib.sha256).hex()


def _cause(origin: Origin, begun: Cause) -> Cause:
    # The portal's id and the content: another content under the same id is another cause.
    identity = str(derived_id(f"{origin.portal}/{origin.key}/{origin.digest}", origin.kind))
    return Cause(identity, begun.correlation or identity, begun.traceparent)


def _comparable(name: str) -> Name:
    """Case, ё/е, spaces and the order of the words do not matter."""
    return tuple(sorted(fold_name(name).split()))


def _refusal(error: InvalidName | InvalidPhone) -> str:
    return "invalid-name" if isinstance(error, InvalidName) else "invalid-phone"
