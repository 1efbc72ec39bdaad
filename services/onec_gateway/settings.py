"""`ONEC_…`, and what all services share."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import isodate
from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import SettingsConfigDict

from chassis.settings import ServiceSettings, Zone
from services.onec_gateway.onec.maintenance import parse_calendar
from services.onec_gateway.onec.odata import WebServer


def _is_hex_key(secret: SecretStr) -> SecretStr:
    try:
        key = bytes.fromhex(secret.get_secret_value())
    except ValueError:
        raise ValueError("must be hexadecimal") from None
    if not key:
        raise ValueError("must not be empty")
    return secret


def _is_calendar(text: str) -> str:
    parse_calendar(text)
    return text


def _is_age(text: str | None) -> str | None:
    try:
        if text is not None:
            isodate.parse_duration(text)
    except (isodate.ISO8601Error, TypeError):
        raise ValueError("not an ISO 8601 duration such as P12M") from None
    return text


class Settings(ServiceSettings):
    """`url` is where 1C is published, without `/odata/…`; `time_zone` is the infobase's, whose dates carry none.

    `concurrency` and `per_second`: so many requests at once, and in a second, at most. `web_server` decides how long
    an address may be. `maintenance`: when 1C is closed, as in `Mon-Sun 02:00-04:00; Sat 22:00-23:30`. `probe_every`:
    how often a 1C in maintenance is asked whether it is back. `longest_call`: how long 1C may still be at a write
    whose answer was lost. `clock_skew`: an enquiry dated this near to a lead's receipt is decided by people.
    `enquiry_age`: older enquiries block nobody (`P12M`); without it, all do. `watch_every`: how often new enquiries
    and sales are looked for, `reread_every`: known ones for changes.
    """

    model_config = SettingsConfigDict(env_prefix="ONEC_", hide_input_in_errors=True)

    url: Annotated[str, Field(pattern=r"^https?://[^?#]+$")]
    user: str
    password: SecretStr
    time_zone: Zone = "Europe/Moscow"
    concurrency: Annotated[int, Field(ge=1, le=64)] = 4
    per_second: Annotated[float, Field(gt=0)] = 50.0
    web_server: WebServer = "iis"
    maintenance: Annotated[str, AfterValidator(_is_calendar)] = ""
    probe_every: Annotated[timedelta, Field(gt=timedelta(0))] = timedelta(minutes=1)
    longest_call: Annotated[timedelta, Field(gt=timedelta(0))] = timedelta(seconds=90)
    clock_skew: Annotated[timedelta, Field(ge=timedelta(0))] = timedelta(0)
    enquiry_age: Annotated[str | None, AfterValidator(_is_age)] = None
    check_delayed_after: Annotated[timedelta, Field(gt=timedelta(0))] = timedelta(minutes=10)
    watch_every: Annotated[timedelta, Field(gt=timedelta(0))] = timedelta(seconds=30)
    reread_every: Annotated[timedelta, Field(gt=timedelta(0))] = timedelta(minutes=5)
    exchanges_kept_for: Annotated[timedelta, Field(gt=timedelta(0))] = timedelta(days=90)
    mapping_file: Path | None = None
    sealing_keys: SecretStr
    client_key_secret: Annotated[SecretStr, AfterValidator(_is_hex_key)]
    dead_letters_public_key: Annotated[str, Field(validation_alias="DEAD_LETTERS_PUBLIC_KEY")]
