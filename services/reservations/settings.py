"""`RESERVATIONS_…`, and what all services share."""

from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field
from pydantic_settings import SettingsConfigDict

from chassis.settings import ServiceSettings
from services.reservations.domain import Term


def _is_term(text: str) -> str:
    Term.parse(text)
    return text


def _is_zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise ValueError("not a time zone such as Europe/Moscow") from None
    return text


class Settings(ServiceSettings):
    """`term` is an ISO 8601 duration; one with hours or minutes (a demonstration) is not rounded to a day."""

    model_config = SettingsConfigDict(env_prefix="RESERVATIONS_", hide_input_in_errors=True)

    term: Annotated[str, AfterValidator(_is_term)] = "P6M"
    time_zone: Annotated[str, AfterValidator(_is_zone)] = "Europe/Moscow"
    dead_letters_public_key: Annotated[str, Field(validation_alias="DEAD_LETTERS_PUBLIC_KEY")]
