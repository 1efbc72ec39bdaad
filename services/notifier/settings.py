"""`NOTIFIER_…`, and what all services share."""

from datetime import time
from decimal import Decimal
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo
from pydantic_settings import SettingsConfigDict

from chassis.settings import Port, ServiceSettings, Zone
from contracts.sealing import Sealer
from services.notifier.domain import Policy
from services.notifier.store import Limits
from services.notifier.texts import NAMES, TEXTS

PROVIDERS: Final = ("smsc", "kannel", "console")


def _are_sealing_keys(keys: SecretStr) -> SecretStr:
    Sealer(keys.get_secret_value())
    return keys


def _are_providers(text: str) -> str:
    names = _split(text)
    if not names or len(set(names)) < len(names) or not set(names) <= set(PROVIDERS):
        raise ValueError(f"not an order of providers such as smsc,kannel; known are {', '.join(PROVIDERS)}")
    return text


def _are_hours(text: str) -> str:
    _hours(text)
    return text


def _are_texts(text: str) -> str:
    if unknown := set(_split(text)) - NAMES:
        raise ValueError(f"no such text: {', '.join(sorted(unknown))}; there are {', '.join(sorted(NAMES))}")
    return text


def _are_numbers(text: str | None) -> str | None:
    if text is not None and not all(one.startswith("+") and one[1:].isdigit() for one in _split(text)):
        raise ValueError("not telephone numbers such as +79161234567,+79031112233")
    return text


def _needed(value: str, info: ValidationInfo) -> str:
    if not value and str(info.field_name).partition("_")[0] in _split(info.data.get("providers", "")):
        raise ValueError("needed for a provider that NOTIFIER_PROVIDERS names")
    return value


def _needed_secret(value: SecretStr, info: ValidationInfo) -> SecretStr:
    _needed(value.get_secret_value(), info)
    return value


Needed = Annotated[str, AfterValidator(_needed), Field(validate_default=True)]
NeededUrl = Annotated[Needed, Field(pattern=r"^(https?://\S+)?$")]
NeededSecret = Annotated[SecretStr, AfterValidator(_needed_secret), Field(validate_default=True)]


class Settings(ServiceSettings):
    """`providers`: who is used, in this order. Each has settings of its own: `smsc_url` is the provider's root
    (https://smsc.ru), `kannel_url` smsbox's; `…_sender` the name agreed with the operators; `smsc_report_secret` the
    word that SMSC signs its reports with, `kannel_report_secret` one of ours, and `kannel_reports_url` the root of our
    own `http_port` as Kannel sees it. Without `http_port` no reports are taken, and SMSC is asked instead.

    `quiet_hours` of `time_zone`, empty for none: `quiet_texts` (all but verdicts, unless set) wait for their end.
    `quiet_texts_per_second`: so many of those that waited are sent, so that a verdict need not wait behind a morning's
    reminders. `per_hour` and `per_day`: so many messages one recipient gets at most, 0 for any number. `only_to`: a
    test mode, in which nobody else gets anything. `least_balance`: with less at a provider there is an error in the
    log each minute.
    """

    model_config = SettingsConfigDict(env_prefix="NOTIFIER_", hide_input_in_errors=True)

    sealing_keys: Annotated[SecretStr, AfterValidator(_are_sealing_keys)]
    providers: Annotated[str, AfterValidator(_are_providers)] = "smsc"
    smsc_url: NeededUrl = ""
    smsc_login: Needed = ""
    smsc_password: NeededSecret = SecretStr("")
    smsc_sender: str = ""
    smsc_report_secret: SecretStr | None = None
    kannel_url: NeededUrl = ""
    kannel_user: Needed = ""
    kannel_password: NeededSecret = SecretStr("")
    kannel_sender: Needed = ""
    kannel_report_secret: NeededSecret = SecretStr("")
    kannel_reports_url: NeededUrl = ""
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
    def order(self) -> list[str]:
        return _split(self.providers)

    @property
    def policy(self) -> Policy:
        return Policy(ZoneInfo(self.time_zone), _hours(self.quiet_hours), frozenset(_split(self.quiet_texts)))

    @property
    def limits(self) -> Limits:
        return Limits(self.per_hour, self.per_day)

    @property
    def allowed(self) -> frozenset[str] | None:
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
