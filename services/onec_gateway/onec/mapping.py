"""Our notions as sets and fields of the customer's 1C: data, read from a TOML file."""

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError


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
    """A tabular part of contact information as a set of its own: of cards, or of the staff."""

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
    """Incoming enquiries. `mark` is where "reserved for a partner until" is written; it may be the comment."""

    ref: str
    date: str
    number: str
    subject: str
    client: str
    comment: str
    mark: str
    deletion_mark: str
    subject_handed_over: str


class Deals(_Set):
    """Sales. `currency` is a field with an ISO 4217 code, or with `currency_code` set, nothing."""

    ref: str
    date: str
    number: str
    client: str
    amount: str
    currency: str = ""
    currency_code: str = ""
    contract_number: str
    contract_date: str
    posted: str
    deletion_mark: str


class _PartnerJournal(_Set):
    lead_id: str
    full_name: str
    phone: str
    partner: str
    partner_id: str
    agreement: str
    registered_at: str
    reserved_through: str
    state: str
    comment: str
    state_active: str
    state_expired: str
    state_won: str
    state_withdrawn: str


class RegisterJournal(_PartnerJournal):
    """What partners registered: a register whose key is the lead id, so that 1C itself refuses a second entry."""

    kind: Literal["register"]


class DocumentJournal(_PartnerJournal):
    """The same as documents. Nothing in 1C keeps the lead id unique: it is searched for before anything is repeated."""

    kind: Literal["document"]
    ref: str
    deletion_mark: str


class Mapping(BaseModel):
    """The whole of it. `staff_phones` and `deals` may be left out: then neither is asked about."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    clients: Clients
    phones: Phones
    phone_kinds: PhoneKinds
    general_journal: GeneralJournal
    partner_journal: Annotated[RegisterJournal | DocumentJournal, Field(discriminator="kind")]
    staff_phones: Phones | None = None
    deals: Deals | None = None


class MappingError(ValueError):
    """The file itself is wrong: a line for each mistake, in the administrator's language."""


def load(file: Path | None = None) -> Mapping:
    """The mapping in `file`, or the one that comes with the gateway. Raises OSError or MappingError."""
    source = file if file is not None else resources.files(__package__) / "mapping.toml"
    try:
        return Mapping.model_validate(tomllib.loads(source.read_text(encoding="utf-8")))
    except tomllib.TOMLDecodeError as error:
        raise MappingError(f"не TOML: {error}") from None
    except ValidationError as error:
        raise MappingError("\n".join(_mistake(one) for one in error.errors(include_url=False))) from None


def _mistake(problem: Any) -> str:
    # The kind of journal that pydantic puts into the place of a mistake is nothing that stands in the file.
    section, *rest = [str(part) for part in problem["loc"] if part not in ("register", "document")]
    match problem["type"]:
        case "missing":
            said = "не задано"
        case "extra_forbidden":
            said = "лишнее, такого имени нет"
        case "union_tag_invalid" | "union_tag_not_found":
            rest, said = ["kind"], "register или document"
        case "string_type":
            said = "нужна строка в кавычках"
        case _:
            said = str(problem["msg"])
    return f"[{section}] {' '.join(rest)}: {said}" if rest else f"[{section}]: {said}"
