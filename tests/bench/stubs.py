"""The gateway and the notifier with stubs of 1C and the SMS provider that respond at once.

`python -m tests.bench.stubs onec_gateway|notifier run`.
"""

import sys
from collections.abc import Sequence
from typing import cast
from uuid import UUID

from chassis.commands.cli import service_cli
from chassis.service import Service
from services.notifier import app as notifier
from services.notifier import settings as notifier_settings
from services.notifier.domain.answers import Accepted, Found, Health, Healthy, LookupAnswer, SendAnswer
from services.onec_gateway import app as onec_gateway
from services.onec_gateway import settings as gateway_settings
from services.onec_gateway.assembly import Infobase
from services.onec_gateway.onec.exchange import Call
from services.onec_gateway.onec.journals import Journals
from services.onec_gateway.onec.partner_journal import Entry
from services.onec_gateway.onec.search import ClientRecords, Search


class EmptyOneC:
    """A 1C without enquiries that accepts every journal entry."""

    refuses_repeats = True

    async def clients(self, _: Call, wanted: Sequence[str]) -> dict[str, ClientRecords]:
        return dict.fromkeys(wanted, ClientRecords())

    async def enter(self, _: Call, __: Entry, *, look: bool) -> None:
        pass

    async def close(self) -> None:
        pass


class AcceptingProvider:
    """A provider that accepts every message."""

    name = "stub"

    async def send(self, _: UUID, __: str, ___: str) -> SendAnswer:
        return Accepted()

    async def lookup(self, _: UUID, __: str) -> LookupAnswer:
        return Found("status 1", "delivered")

    async def check(self) -> Health:
        return Healthy()

    async def close(self) -> None:
        pass


def build_gateway(settings: gateway_settings.Settings) -> Service:
    onec = EmptyOneC()
    return onec_gateway.wire(settings, Infobase(cast(Search, onec), cast(Journals, onec), onec.close))


def build_notifier(settings: notifier_settings.Settings) -> Service:
    return notifier.wire(settings, [AcceptingProvider()])


if __name__ == "__main__":
    service = sys.argv.pop(1)
    if service == "onec_gateway":
        service_cli("onec-gateway", gateway_settings.Settings, build_gateway)()
    else:
        service_cli("notifier", notifier_settings.Settings, build_notifier)()
