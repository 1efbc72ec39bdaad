"""The names of sets and fields in the customer's 1C, as a TOML file maps them to what the gateway reads and writes."""

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class _Set(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    set: str


class Clients(_Set):
    """Cards of prospective clients. `phones` is the tabular part with contact information; `created` is the field with
    the date when a person created the card, empty if there is none."""

    ref: str
    full_name: str
    comment: str
    created: str = ""
    deletion_mark: str
    phones: str


class Phones(_Set):
    """A tabular part with contact information, published as a set of its own: of the cards, or of the staff."""

    client: str
    line: str
    type: str
    type_phone: str
    kind: str
    presentation: str
    number: str
    number_without_codes: str


class PhoneKinds(_Set):
    """Kinds of contact information. `client_phone` is the predefined name of the kind «phone of a client»."""

    ref: str
    name: str
    client_phone: str


class GeneralJournal(_Set):
    """Incoming enquiries. The field `mark` takes the text «закреплён за партнёром»; it may be the comment."""

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
    """Sales. `currency` is the field with the ISO 4217 code; if empty, `currency_code` is the code of all sales."""

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
    """The partner journal as a register with the lead id as its key: 1C itself refuses a second entry of a lead."""

    kind: Literal["register"]


class DocumentJournal(_PartnerJournal):
    """The partner journal as documents. 1C accepts a lead id twice, so the gateway reads before it repeats a write."""

    kind: Literal["document"]
    ref: str
    deletion_mark: str


class Mapping(BaseModel):
    """All sections of the file. Without `staff_phones` or `deals` the gateway does not read the staff or the sales."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    clients: Clients
    phones: Phones
    phone_kinds: PhoneKinds
    general_journal: GeneralJournal
    partner_journal: Annotated[RegisterJournal | DocumentJournal, Field(discriminator="kind")]
    staff_phones: Phones | None = None
    deals: Deals | None = None


class MappingError(ValueError):
    """The file is wrong. The message has a line for each mistake, in Russian for 1C's administrator."""


def load(file: Path | None = None) -> Mapping:
    """The mapping in `file`, or by default in the gateway's own `mapping.toml`. Raises OSError or MappingError."""
    source = file if file is not None else resources.files(__package__) / "mapping.toml"
    try:
        return Mapping.model_validate(tomllib.loads(source.read_text(encoding="utf-8")))
    except tomllib.TOMLDecodeError as error:
        raise MappingError(f"не TOML: {error}") from None
    except ValidationError as error:
        raise MappingError("\n".join(_mistake(problem) for problem in error.errors(include_url=False))) from None


def _mistake(problem: Any) -> str:
    # pydantic adds the kind of the journal to the place of a mistake; the file has no such level.
    section, *rest = [str(part) for part in problem["loc"] if part not in ("register", "document")]
    match problem["type"]:
        case "missing":
            message = "не задано"
        case "extra_forbidden":
            message = "лишнее, такого имени нет"
        case "union_tag_invalid" | "union_tag_not_found":
            rest, message = ["kind"], "register или document"
        case "string_type":
            message = "нужна строка в кавычках"
        case _:
            message = str(problem["msg"])
    return f"[{section}] {' '.join(rest)}: {message}" if rest else f"[{section}]: {message}"
