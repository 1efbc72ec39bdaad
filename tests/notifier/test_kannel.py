"""The whole way through Kannel itself: a business event, an SMS at the operator, and its report back."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from services.notifier.signatures import Signer
from tests.notifier import kannel
from tests.notifier.samples import BUYER, REALTOR, opened, partner, rejected
from tests.notifier.world import World, until

pytestmark = pytest.mark.infra
SECRET = "a word of our own"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[kannel.Kannel]:
    if reason := kannel.why_not():
        pytest.skip(reason)
    with kannel.running(tmp_path) as running:
        yield running


def settings(world: World, gateway: kannel.Kannel) -> dict[str, str]:
    return {
        "KANNEL_URL": gateway.url,
        "KANNEL_USER": kannel.USER,
        "KANNEL_PASSWORD": kannel.PASSWORD,
        "KANNEL_SENDER": kannel.SENDER,
        "KANNEL_REPORT_SECRET": SECRET,
        "KANNEL_REPORTS_URL": f"http://127.0.0.1:{world.port}",
        "HTTP_PORT": str(world.port),
    }


async def test_a_verdict_goes_through_kannel_and_its_delivery_comes_back(world: World, gateway: kannel.Kannel) -> None:
    await world.start(settings(world, gateway), PROVIDERS="kannel")
    await world.tell(partner("p1"), opened(1))
    await world.wait_for("SELECT 1 FROM messages WHERE status = 'delivered'")

    # Kannel's report may overtake its answer.
    statuses = [(one.status, one.provider) for one in await world.statuses(1)]
    assert statuses in ([("sent", "kannel"), ("delivered", "kannel")], [("delivered", "kannel")])
    text = "Клиент Иванов И. закреплён за вами до 24.05.2027 включительно. Заявка 0001."
    await until(lambda: gateway.received() == {REALTOR.phone: [text]} or None, "the whole text at the operator")
    seen = world.log.read_text()
    for secret in (REALTOR.phone[2:], BUYER.phone[2:], "Иванов", kannel.PASSWORD):
        assert secret not in seen


async def test_what_smsc_does_not_let_through_goes_by_kannel(world: World, gateway: kannel.Kannel) -> None:
    await world.start(settings(world, gateway), PROVIDERS="smsc,kannel")
    world.sms.post("fault", {"mode": "refuse", "code": 6, "match": {"call": "send"}})
    await world.tell(partner("p1"), rejected(2))
    await world.wait_for("SELECT 1 FROM messages WHERE status = 'delivered'")

    assert {one.provider for one in await world.statuses(1)} == {"kannel"}
    assert world.texts() == []
    await until(lambda: sum(map(len, gateway.received().values())) == 1 or None, "the text at the operator")


async def test_a_report_with_a_wrong_signature_changes_nothing(world: World, gateway: kannel.Kannel) -> None:
    await world.start({**settings(world, gateway), "KANNEL_REPORTS_URL": "http://127.0.0.1:9"}, PROVIDERS="kannel")
    await world.tell(partner("p1"), opened(1))
    [status] = await world.statuses(1)
    address = f"http://127.0.0.1:{world.port}/v1/reports/kannel"

    forged = {"id": str(status.message_id), "sig": Signer("a guess").sign(status.message_id), "status": "1"}
    assert httpx.get(address, params=forged).status_code == 403
    assert [tuple(row) for row in await world.rows("SELECT status FROM messages")] == [("sent",)]
    genuine = {**forged, "sig": Signer(SECRET).sign(status.message_id)}
    assert httpx.get(address, params=genuine).status_code == 200
    assert [one.status for one in await world.statuses(2)] == ["sent", "delivered"]
