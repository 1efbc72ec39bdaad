"""The whole way through a real Kannel: from a business event to the SMS at the operator, and its report back."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from services.notifier.signatures import Signer
from tests.notifier import kannel
from tests.notifier.harness import Harness, wait_until
from tests.notifier.samples import BUYER, REALTOR, opened, partner, rejected

pytestmark = pytest.mark.infra
SECRET = "a word of our own"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[kannel.Kannel]:
    if reason := kannel.why_not():
        pytest.skip(reason)
    with kannel.running(tmp_path) as running:
        yield running


def settings(harness: Harness, gateway: kannel.Kannel) -> dict[str, str]:
    return {
        "KANNEL_URL": gateway.url,
        "KANNEL_USER": kannel.USER,
        "KANNEL_PASSWORD": kannel.PASSWORD,
        "KANNEL_SENDER": kannel.SENDER,
        "KANNEL_REPORT_SECRET": SECRET,
        "KANNEL_REPORTS_URL": f"http://127.0.0.1:{harness.port}",
        "HTTP_PORT": str(harness.port),
    }


async def test_a_verdict_is_sent_through_kannel_and_its_delivery_is_reported(
    harness: Harness, gateway: kannel.Kannel
) -> None:
    await harness.start(settings(harness, gateway), PROVIDERS="kannel")
    await harness.publish(partner("p1"), opened(1))
    await harness.wait_for_row("SELECT 1 FROM messages WHERE status = 'delivered'")

    # Kannel's report may come before its answer to the call.
    statuses = [(one.status, one.provider) for one in await harness.statuses(1)]
    assert statuses in ([("sent", "kannel"), ("delivered", "kannel")], [("delivered", "kannel")])
    text = "Клиент Иванов И. закреплён за вами до 24.05.2027 включительно. Заявка 0001."
    await wait_until(lambda: gateway.received() == {REALTOR.phone: [text]}, "the whole text at the operator")
    seen = harness.log.read_text()
    for secret in (REALTOR.phone[2:], BUYER.phone[2:], "Иванов", kannel.PASSWORD):
        assert secret not in seen


async def test_an_sms_that_smsc_forbids_is_sent_through_kannel(harness: Harness, gateway: kannel.Kannel) -> None:
    await harness.start(settings(harness, gateway), PROVIDERS="smsc,kannel")
    harness.sms.post("fault", {"mode": "refuse", "code": 6, "match": {"call": "send"}})
    await harness.publish(partner("p1"), rejected(2))
    await harness.wait_for_row("SELECT 1 FROM messages WHERE status = 'delivered'")

    assert {one.provider for one in await harness.statuses(1)} == {"kannel"}
    assert harness.texts() == []
    await wait_until(lambda: sum(map(len, gateway.received().values())) == 1, "the text at the operator")


async def test_a_kannel_report_with_a_wrong_signature_changes_nothing(harness: Harness, gateway: kannel.Kannel) -> None:
    await harness.start({**settings(harness, gateway), "KANNEL_REPORTS_URL": "http://127.0.0.1:9"}, PROVIDERS="kannel")
    await harness.publish(partner("p1"), opened(1))
    [status] = await harness.statuses(1)
    address = f"http://127.0.0.1:{harness.port}/v1/reports/kannel"

    forged = {"id": str(status.message_id), "sig": Signer("a guess").sign(status.message_id), "status": "1"}
    assert httpx.get(address, params=forged).status_code == 403
    assert [tuple(row) for row in await harness.rows("SELECT status FROM messages")] == [("sent",)]
    genuine = {**forged, "sig": Signer(SECRET).sign(status.message_id)}
    assert httpx.get(address, params=genuine).status_code == 200
    assert [one.status for one in await harness.statuses(2)] == ["sent", "delivered"]
