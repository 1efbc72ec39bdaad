"""Our notions as sets and fields of the customer's 1C: data, read from a TOML file."""

import tomllib
from importlib import resources
from pathlib import Path

from pydantic import BaseModel, ConfigDict


class _Set(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    set: str


class Clients(_Set):
    """Cards of prospective clients; `phones` is the tabular part."""

    ref: str
    full_name: str
    comment: str
    deletion_mark: str
    phones: str


class Phones(_Set):
    """That tabular part as a set of its own."""

    client: str
    line: str
    type: str
    type_phone: str
    kind: str
    presentation: str
    number: str
    number_without_codes: str


class PhoneKinds(_Set):
    """Kinds of contact information; `client_phone` is the predefined kind of a client's phone."""

    ref: str
    name: str
    client_phone: str


class GeneralJournal(_Set):
    """Incoming enquiries."""

    ref: str
    date: str
    subject: str
    client: str
    comment: str
    deletion_mark: str
    subject_handed_over: str


class PartnerJournal(_Set):
    """What partners registered: a register whose key is the lead id, so that 1C itself refuses a second entry."""

    lead_id: str
    full_name: str
    phone: str
    partner: str
    partner_id: str
    agreement: str
    registered_at: str
    reserved_through: str
    state: str
    state_active: str
    state_expired: str


class Mapping(BaseModel):
    """The whole of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    clients: Clients
    phones: Phones
    phone_kinds: PhoneKinds
    general_journal: GeneralJournal
    partner_journal: PartnerJournal


def load(file: Path | None = None) -> Mapping:
    """The mapping in `file`, or the one that comes with the gateway. Raises OSError or ValueError."""
    source = file if file is not None else resources.files(__package__) / "mapping.toml"
    return Mapping.model_validate(tomllib.loads(source.read_text(encoding="utf-8")))
