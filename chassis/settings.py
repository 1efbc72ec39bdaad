"""Settings, read from the environment. A missing or wrong setting stops the start with a message that names it."""

import sys
from datetime import timedelta
from typing import Annotated, Literal, TypeVar
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


def _is_zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise ValueError("not a time zone such as Europe/Moscow") from None
    return text


def _is_secret(secret: SecretStr) -> SecretStr:
    try:
        enough = len(bytes.fromhex(secret.get_secret_value())) >= 32
    except ValueError:
        enough = False
    if not enough:
        raise ValueError("needs at least 64 hexadecimal digits")
    return secret


Port = Annotated[int, Field(ge=0, le=65535)]
Zone = Annotated[str, AfterValidator(_is_zone)]
HexSecret = Annotated[SecretStr, AfterValidator(_is_secret)]


class KafkaSettings(BaseSettings):
    """How to reach Kafka: `KAFKA_…`, the same for every service.

    `group_instance_id` is a name that this process keeps over restarts and shares with no other process of the service,
    such as a pod's name in a StatefulSet. With it, a restarted process gets its partitions back at once, also after a
    crash. Without it, the partitions wait for the session timeout of 10 s.
    """

    model_config = SettingsConfigDict(env_prefix="KAFKA_", hide_input_in_errors=True)

    bootstrap_servers: str
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_cafile: str | None = None
    group_instance_id: str | None = None


class ServiceSettings(BaseSettings):
    """Settings that every service has, under its own prefix.

    `poison_share`: if more than this share of the last thousand records of a topic fails, the topic is paused.
    `inbox_kept_for`: must exceed the retention of topics (30 days) and of dead letters (90 days), or a late repeat
    would be taken for a new message. `work_kept_for`: how long finished work rows are kept for lookups.
    `personal_kept_for`: the command `retention` erases a client's sealed data this long after the client's matters
    ended.
    """

    model_config = SettingsConfigDict(hide_input_in_errors=True)

    database_url: SecretStr
    admin_host: str = "127.0.0.1"
    admin_port: Port
    poison_share: Annotated[float, Field(gt=0, le=1)] = 0.2
    inbox_kept_for: Annotated[timedelta, Field(gt=timedelta(0))] = timedelta(days=120)
    work_kept_for: Annotated[timedelta, Field(gt=timedelta(0))] = timedelta(days=400)
    personal_kept_for: Annotated[timedelta, Field(gt=timedelta(0))] = timedelta(days=3 * 365)


T = TypeVar("T", bound=BaseSettings)


def load(settings: type[T]) -> T:
    """The settings. Prints a line for each mistake and exits with 2 if there is one. Values are never printed."""
    try:
        return settings()
    except ValidationError as error:
        prefix = settings.model_config.get("env_prefix", "")
        shared = {field.validation_alias for field in settings.model_fields.values()}
        for problem in error.errors(include_input=False, include_url=False):
            field = str(problem["loc"][0])
            name = field if field in shared else prefix.upper() + field.upper()
            print(f"setting {name}: {problem['msg']}", file=sys.stderr)
        sys.exit(2)
