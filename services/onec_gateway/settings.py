"""`ONEC_…`, and what all services share."""

from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import SettingsConfigDict

from chassis.settings import ServiceSettings


def _is_zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise ValueError("not a time zone such as Europe/Moscow") from None
    return text


def _is_hex_key(secret: SecretStr) -> SecretStr:
    try:
        key = bytes.fromhex(secret.get_secret_value())
    except ValueError:
        raise ValueError("must be hexadecimal") from None
    if not key:
        raise ValueError("must not be empty")
    return secret


class Settings(ServiceSettings):
    """`url` is where 1C is published, without `/odata/…`; `time_zone` is the infobase's, whose dates carry none."""

    model_config = SettingsConfigDict(env_prefix="ONEC_", hide_input_in_errors=True)

    url: Annotated[str, Field(pattern=r"^https?://[^?#]+$")]
    user: str
    password: SecretStr
    time_zone: Annotated[str, AfterValidator(_is_zone)] = "Europe/Moscow"
    concurrency: Annotated[int, Field(ge=1, le=64)] = 4
    mapping_file: Path | None = None
    sealing_keys: SecretStr
    client_key_secret: Annotated[SecretStr, AfterValidator(_is_hex_key)]
    dead_letters_public_key: Annotated[str, Field(validation_alias="DEAD_LETTERS_PUBLIC_KEY")]
