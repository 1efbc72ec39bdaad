"""Settings of the gateway: environment variables `ONEC_…`, and those that every service has."""

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
    """The gateway's settings. Durations are ISO 8601 (`PT1M`) and positive unless stated.

    `url`: the address at which 1C is published, without `/odata/…`. `user`, `password`: the exchange user.
    `time_zone`: the zone of the builder and of the infobase, whose dates carry none; commands print times in it.
    `concurrency`: at most this many requests to 1C at once. `per_second`: at most this many requests per second.
    `web_server`: it limits the length of an address. `maintenance`: the weekly windows in which 1C is closed, for
    example `Mon-Sun 02:00-04:00; Sat 22:00-23:30`. `probe_every`: the interval of probes while 1C is closed.
    `longest_call`: for at most this long 1C may carry out a write whose answer was lost.
    `clock_skew`: a person decides a lead if an enquiry is dated within this time of the lead's receipt; it may be zero.
    `enquiry_age`: an enquiry older than this blocks no lead (`P12M`); without it every enquiry does.
    `card_blocks`: a buyer's card that the office created before a lead blocks it, also without an enquiry.
    `card_look_age`: a card that a complete read of all cards did not find is later than a lead if that read began at
    most this long before the lead was received; else people decide.
    `check_delayed_after`: a lead under review for this long is published as delayed.
    `watch_every`: the interval at which new enquiries and sales are read, and the next portion of all cards and
    enquiries; `reread_every`: of sales that are linked to leads, for cancellations.
    `reconcile_settle`: a difference between the gateway and the list of reservations counts if it lasts this long.
    `exchanges_kept_for`: rows of the journal of exchanges are kept for this long. `mapping_file`: the names of 1C's
    sets and fields; without it the built-in mapping is used. `sealing_keys`: a JWK set that opens sealed clients.
    `client_key_secret`: the secret of client keys, in hexadecimal, the same as intake's.
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
    card_blocks: bool = True
    card_look_age: Annotated[timedelta, Field(gt=timedelta(0))] = timedelta(minutes=5)
    check_delayed_after: Annotated[timedelta, Field(gt=timedelta(0))] = timedelta(minutes=10)
    watch_every: Annotated[timedelta, Field(gt=timedelta(0))] = timedelta(seconds=30)
    reread_every: Annotated[timedelta, Field(gt=timedelta(0))] = timedelta(minutes=5)
    reconcile_settle: Annotated[timedelta, Field(ge=timedelta(0))] = timedelta(seconds=30)
    exchanges_kept_for: Annotated[timedelta, Field(gt=timedelta(0))] = timedelta(days=90)
    mapping_file: Path | None = None
    sealing_keys: SecretStr
    client_key_secret: Annotated[SecretStr, AfterValidator(_is_hex_key)]
    dead_letters_public_key: Annotated[str, Field(validation_alias="DEAD_LETTERS_PUBLIC_KEY")]
