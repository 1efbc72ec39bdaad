"""Builds the adapters that the settings name."""

from functools import partial
from typing import assert_never

from chassis.service import Http
from services.notifier.providers.base import Provider
from services.notifier.providers.console import Console
from services.notifier.providers.kannel import Kannel
from services.notifier.providers.smsc import Smsc
from services.notifier.reports import application
from services.notifier.settings import ProviderName, Settings
from services.notifier.signatures import Signer


def make_provider(name: ProviderName, settings: Settings) -> Provider:
    """The adapter of one provider. A new provider gets a case here and a name in `settings.ProviderName`."""
    match name:
        case "smsc":
            password = settings.smsc_password.get_secret_value()
            return Smsc(settings.smsc_url, settings.smsc_login, password, settings.smsc_sender)
        case "kannel":
            return Kannel(
                settings.kannel_url,
                settings.kannel_user,
                settings.kannel_password.get_secret_value(),
                settings.kannel_sender,
                settings.kannel_reports_url,
                Signer(settings.kannel_report_secret.get_secret_value()),
            )
        case "console":
            return Console()
        case _:
            assert_never(name)


def make_reports(settings: Settings) -> Http | None:
    """The HTTP application for delivery reports; None without `http_port`."""
    if settings.http_port is None:
        return None
    smsc, kannel = settings.smsc_report_secret, settings.kannel_report_secret.get_secret_value()
    return Http(
        partial(
            application,
            smsc_secret=smsc.get_secret_value() if smsc is not None else None,
            signer=Signer(kannel) if kannel else None,
        ),
        settings.http_host,
        settings.http_port,
    )
