"""Settings of the notifier: variables `NOTIFIER_…`, and those that all services share."""

from datetime import time
from decimal import Decimal
from typing import Annotated, Final, Literal, get_args
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo
from pydantic_settings import SettingsConfigDict

from chassis.settings import Port, ServiceSettings, Zone
from contracts.sealing import Sealer
from services.notifier.domain.model import Limits
from services.notifier.domain.quiet_hours import Policy
from services.notifier.domain.wording import NAMES, TEXTS

ProviderName = Literal["smsc", "kannel", "console"]
PROVIDERS: Final[tuple[ProviderName, ...]] = get_args(ProviderName)


def _are_sealing_keys(keys: SecretStr) -> SecretStr:
    Sealer(keys.get_secret_value())
    return keys


def _are_providers(text: str) -> str:
    names, allowed = _split(text), f"allowed are {', '.join(PROVIDERS)}"
    if unknown := sorted(set(names) - set(PROVIDERS)):
        raise ValueError(f"no such provider: {', '.join(unknown)}; {allowed}")
    if not names or len(set(names)) < len(names):
        raise ValueError(f"not a list of different providers in the order of use, such as smsc,kannel; {allowed}")
    return text


def _are_hours(text: str) -> str:
    _hours(text)
    return text


def _are_texts(text: str) -> str:
    if unknown := set(_split(text)) - NAMES:
        raise ValueError(f"no such text: {', '.join(sorted(unknown))}; allowed are {', '.join(sorted(NAMES))}")
    return text


def _are_numbers(text: str | None) -> str | None:
    if text is not None and not all(one.startswith("+") and one[1:].isdigit() for one in _split(text)):
        raise ValueError("not telephone numbers such as +79161234567,+79031112233")
    return text


def _required(value: str, info: ValidationInfo) -> str:
    if not value and str(info.field_name).partition("_")[0] in _split(info.data.get("providers", "")):
        raise ValueError("required for a provider that NOTIFIER_PROVIDERS names")
    return value


def _required_secret(value: SecretStr, info: ValidationInfo) -> SecretStr:
    _required(value.get_secret_value(), info)
    return value


Required = Annotated[str, AfterValidator(_required), Field(validate_default=True)]
"""Must be set if `providers` names the provider that the field's name begins with."""
RequiredUrl = Annotated[Required, Field(pattern=r"^(https?://\S+)?$")]
RequiredSecret = Annotated[SecretStr, AfterValidator(_required_secret), Field(validate_default=True)]


class Settings(ServiceSettings):
    """`providers`: the SMS providers in the order of use; an unknown name stops the start.

    `smsc_url` is the provider's root (https://smsc.ru), `kannel_url` the root of smsbox; `…_sender` is the sender's
    name agreed with the telephone operators. `smsc_report_secret` is the secret word that SMSC signs its reports with;
    `kannel_report_secret` is a secret of ours, and `kannel_reports_url` the root of our `http_port` as Kannel reaches
    it. Without `http_port` no delivery reports are received, and SMSC's statuses are polled instead.

    `quiet_hours` are two times of day in `time_zone`, empty for none: `quiet_texts` (all but verdicts, unless set) are
    sent after their end, at most `quiet_texts_per_second` of them a second, so that verdicts are not held up behind
    them. `per_hour` and `per_day`: one recipient gets at most so many SMS, 0 for no limit. `only_to`: for tests with a
    real provider, numbers outside this list get nothing. `least_balance`: with less money at a provider, in rubles, an
    error is logged every minute.
    """

    model_config = SettingsConfigDict(env_prefix="NOTIFIER_", hide_input_in_errors=True)

    sealing_keys: Annotated[SecretStr, AfterValidator(_are_sealing_keys)]
    providers: Annotated[str, AfterValidator(_are_providers)] = "smsc"
    smsc_url: RequiredUrl = ""
    smsc_login: Required = ""
    smsc_password: RequiredSecret = SecretStr("")
    smsc_sender: str = ""
    smsc_report_secret: SecretStr | None = None
    kannel_url: RequiredUrl = ""
    kannel_user: Required = ""
    kannel_password: RequiredSecret = SecretStr("")
    kannel_sender: Required = ""
    kannel_report_secret: RequiredSecret = SecretStr("")
    kannel_reports_url: RequiredUrl = ""
    http_host: str = "127.0.0.1"
    http_port: Port | None = None
    time_zone: Zone = "Europe/Moscow"
    quiet_hours: Annotated[str, AfterValidator(_are_hours)] = "21:00-09:00"
    quiet_texts: Annotated[str, AfterValidator(_are_texts)] = ",".join(
        sorted(text.name for text in TEXTS.values() if not text.verdict)
    )
    quiet_texts_per_second: Annotated[float, Field(gt=0)] = 20.0
    per_hour: Annotated[int, Field(ge=0)] = 200
    per_day: Annotated[int, Field(ge=0)] = 1000
    only_to: Annotated[str | None, AfterValidator(_are_numbers)] = None
    least_balance: Annotated[Decimal, Field(ge=0)] = Decimal(500)
    dead_letters_public_key: Annotated[str, Field(validation_alias="DEAD_LETTERS_PUBLIC_KEY")]

    @property
    def provider_order(self) -> list[ProviderName]:
        return [name for given in _split(self.providers) for name in PROVIDERS if name == given]

    @property
    def policy(self) -> Policy:
        return Policy(ZoneInfo(self.time_zone), _hours(self.quiet_hours), frozenset(_split(self.quiet_texts)))

    @property
    def limits(self) -> Limits:
        return Limits(self.per_hour, self.per_day)

    @property
    def allowed_numbers(self) -> frozenset[str] | None:
        return None if self.only_to is None else frozenset(_split(self.only_to))


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _hours(text: str) -> tuple[time, time] | None:
    if not text.strip():
        return None
    try:
        begin, end = (time.fromisoformat(part.strip()) for part in text.split("-"))
    except ValueError:
        raise ValueError("not two times of day such as 21:00-09:00") from None
    if begin == end or begin.tzinfo or end.tzinfo:
        raise ValueError("not two different times of day such as 21:00-09:00")
    return begin, end
