"""`NOTIFIER_…`, and what all services share."""

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import SettingsConfigDict

from chassis.settings import ServiceSettings
from contracts.sealing import Sealer


def _are_sealing_keys(keys: SecretStr) -> SecretStr:
    Sealer(keys.get_secret_value())
    return keys


class Settings(ServiceSettings):
    """`smsc_url` is the provider's root (https://smsc.ru); `smsc_sender` the name agreed with the operators, if any."""

    model_config = SettingsConfigDict(env_prefix="NOTIFIER_", hide_input_in_errors=True)

    sealing_keys: Annotated[SecretStr, AfterValidator(_are_sealing_keys)]
    smsc_url: Annotated[str, Field(pattern=r"^https?://\S+$")]
    smsc_login: Annotated[str, Field(min_length=1)]
    smsc_password: Annotated[SecretStr, Field(min_length=1)]
    smsc_sender: str = ""
    dead_letters_public_key: Annotated[str, Field(validation_alias="DEAD_LETTERS_PUBLIC_KEY")]
