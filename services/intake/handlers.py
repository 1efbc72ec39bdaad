"""From what portals send to what the domain decides: opened, normalised, keyed and sealed, before any transaction."""

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import ValidationError

from chassis.consumer import Poison, Record
from chassis.decision import Cause, derived_id
from chassis.processor import Input
from contracts import topics
from contracts.client import Client, InvalidName, InvalidPhone, client_key
from contracts.message import Message
from contracts.portal import PlainClient, RegisterPartner, SubmitLead
from contracts.sealing import Sealer, Unsealable, decrypt_with
from services.intake.domain import LeadRequest, Origin, PartnerRequest
from services.intake.settings import Settings

_KINDS: dict[str, type[Message]] = {kind.ce_type: kind for kind in (RegisterPartner, SubmitLead)}


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
    client: Client | None = None


class Reader:
    """Reads portals' requests. `begun` is the story a request goes on with (see `story`)."""

    def __init__(self, settings: Settings) -> None:
        self._secret = settings.secret
        self._sealer = Sealer(settings.sealing_keys.get_secret_value())
        self._unsealing = settings.unsealing_jwk
        self._plain_on_topic = settings.accept_plain_clients

    def open(self, sealed: str, owner: str) -> Client:
        """A client at rest. Raises Unsealable."""
        return self._sealer.open(sealed, owner)

    def lead(self, portal: str, key: str, body: SubmitLead, begun: Cause, *, answered: bool) -> Asked:
        """Raises Unsealable, PlainNotAllowed; what a portal may be told is a refusal inside."""
        typed = self._opened(body.client, answered)
        consent = None if body.consent is None else body.consent.model_dump(mode="json")
        content = [body.partner_id, typed.full_name, typed.phone, consent, body.note]
        origin = Origin(portal, key, self._digest(content), SubmitLead.ce_type, answered)
        cause = _cause(origin, begun)
        try:
            client = Client.parse(typed.full_name, typed.phone)
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
            typed = self._opened(PlainClient(full_name=body.full_name, phone=body.phone), answered)
        else:
            raise ValueError("no person")
        agreement = body.agreement.model_dump(mode="json")
        content = [body.partner_id, typed.full_name, typed.phone, agreement, body.status]
        origin = Origin(portal, key, self._digest(content), RegisterPartner.ce_type, answered)
        cause = _cause(origin, begun)
        try:
            person = Client.parse(typed.full_name, typed.phone)
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
            assert isinstance(body, RegisterPartner)
            return self.partner(portal, key, body, begun, answered=False).input
        except PlainNotAllowed:
            raise Poison("plain-client") from None
        except Unsealable:
            raise Poison("does-not-open") from None
        except ValueError:
            raise Poison("invalid") from None

    def _opened(self, client: PlainClient | str, answered: bool) -> PlainClient:
        if isinstance(client, PlainClient):
            # Over HTTP the transport seals it; a topic keeps what it is given.
            if not answered and not self._plain_on_topic:
                raise PlainNotAllowed("a client must be sealed here")
            return client
        try:
            return PlainClient.model_validate_json(decrypt_with([self._unsealing], client))
        except ValidationError:
            raise Unsealable("holds no client") from None

    def _digest(self, content: list[Any]) -> str:
        """A hash of a request's content that tells nobody the phone in it, since it is keyed."""
        return hmac.digest(self._secret, b"digest\n" + orjson.dumps(content), hashlib.sha256).hex()


def _cause(origin: Origin, begun: Cause) -> Cause:
    # The portal's id and the content: another content under the same id is another cause.
    identity = str(derived_id(f"{origin.portal}/{origin.key}/{origin.digest}", origin.kind))
    return Cause(identity, begun.correlation or identity, begun.traceparent)


def _refusal(error: InvalidName | InvalidPhone) -> str:
    return "invalid-name" if isinstance(error, InvalidName) else "invalid-phone"
