"""Settings of reservations: `RESERVATIONS_…`, and those that all services share."""

from datetime import time, timedelta
from functools import cached_property
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_settings import NoDecode, SettingsConfigDict

from chassis.settings import HexSecret, ServiceSettings, Zone
from services.reservations.domain.terms import Term


def _is_term(text: str) -> str:
    Term.parse(text)
    return text


def _are_days(text: str) -> str:
    days = [part.strip() for part in text.split(",") if part.strip()]
    if not all(day.isdigit() and int(day) > 0 for day in days):
        raise ValueError("not a comma-separated list of days such as 30,7,1")
    return text


class Settings(ServiceSettings):
    """`term`: how long a reservation lasts, an ISO 8601 duration; a term in hours or minutes, for a demonstration, is
    not rounded to a day. `time_zone`: the builder's.

    `reminder_days`: how many days before the end the partner is reminded, comma-separated, empty for no reminders.
    `extension_limit`: how often a client may be returned; unset for no limit. `extension_window`: how long before the
    end a live reservation may be extended; unset for any time. `withdraw_within`: how long after the confirmation the
    partner may withdraw a lead by itself. `sale_grace`: how long after the end the news of a sale inside the term
    counts. `claim_waits`: how long a reward claim waits for the news of its sale. `list_at`: from which local time of
    each day the list of all live reservations is published. `history_key`: secret key of the history hashes; a person
    who can write to the database must not have it.
    """

    model_config = SettingsConfigDict(env_prefix="RESERVATIONS_", hide_input_in_errors=True)

    term: Annotated[str, AfterValidator(_is_term)] = "P6M"
    time_zone: Zone = "Europe/Moscow"
    reminder_days: Annotated[str, NoDecode, AfterValidator(_are_days)] = "30,7,1"
    extension_limit: Annotated[int, Field(ge=0)] | None = None
    extension_window: timedelta | None = None
    withdraw_within: timedelta = timedelta(hours=24)
    sale_grace: timedelta = timedelta(days=30)
    claim_waits: timedelta = timedelta(days=14)
    list_at: time = time(4)
    history_key: HexSecret
    dead_letters_public_key: Annotated[str, Field(validation_alias="DEAD_LETTERS_PUBLIC_KEY")]

    @property
    def reminders(self) -> list[int]:
        return [int(day) for day in self.reminder_days.split(",") if day.strip()]

    @cached_property
    def history_secret(self) -> bytes:
        return bytes.fromhex(self.history_key.get_secret_value())
