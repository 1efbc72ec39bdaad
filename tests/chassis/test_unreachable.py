"""A process that cannot reach Kafka lets go of its events after a minute, and another process publishes them in order.

Kafka has a second listener here, and one process knows Kafka only by a proxy before that listener.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from chassis.limits import UNREACHABLE_S
from deploy.local.errors import no_report
from deploy.local.kafka import Kafka
from deploy.local.ports import HOST, free_port
from deploy.local.program import never
from tests.chaos.proxy import Proxy
from tests.chassis.harness import Harness, assert_in_order, requests

pytestmark = [pytest.mark.infra, pytest.mark.long, pytest.mark.timeout(300)]


class KafkaWithSideDoor(Kafka):
    """A Kafka with a second listener on port `side`, which advertises the port `proxy`."""

    side: int = 0
    proxy: int = 0

    def prepare(self, report: Callable[[str], None] = no_report, cancelled: Callable[[], bool] = never) -> None:
        super().prepare(report, cancelled)
        file = self.folder / "server.properties"
        text = file.read_text()
        for before, after in (
            (f"listeners=PLAINTEXT://{HOST}:{self.port}", f"listeners=SIDE://{HOST}:{self.side},PLAINTEXT"),
            (
                f"advertised.listeners=PLAINTEXT://{HOST}:{self.port}",
                f"advertised.listeners=SIDE://{HOST}:{self.proxy},PLAINTEXT",
            ),
        ):
            text = text.replace(f"\n{before}", f"\n{after}://{HOST}:{self.port}")
        text = text.replace("protocol.map=PLAINTEXT", "protocol.map=SIDE:PLAINTEXT,PLAINTEXT")
        assert text.count("SIDE") == 3
        file.write_text(text)


@dataclass(frozen=True, slots=True)
class Doors:
    """The same Kafka twice: directly, and by the proxy."""

    direct: str
    proxied: str
    proxy: Proxy


@pytest.fixture(scope="module")
def doors(infra_folder: Path) -> Iterator[Doors]:
    kafka = KafkaWithSideDoor(infra_folder / "side-door")
    kafka.side = free_port()
    proxy = Proxy(kafka.side).start()
    kafka.proxy = proxy.port
    try:
        kafka.start()
        yield Doors(kafka.bootstrap, f"{HOST}:{proxy.port}", proxy)
    finally:
        kafka.kill()
        proxy.stop()


@pytest.fixture
async def sample(doors: Doors, sample_database: str, tmp_path: Path) -> AsyncIterator[Harness]:
    harness = Harness(doors.direct, sample_database, f"-{uuid.uuid4().hex[:8]}", tmp_path)
    admin = AIOKafkaAdminClient(bootstrap_servers=doors.direct)
    await admin.start()
    try:
        await admin.create_topics(harness.topics(await admin.list_topics()))
        yield harness
    finally:
        doors.proxy.heal()
        harness.close()
        await admin.close()


@pytest.mark.parametrize("fault", ["hangs", "refused"])
async def test_a_process_without_kafka_lets_go_of_its_events_and_another_publishes_them(
    sample: Harness, doors: Doors, fault: str
) -> None:
    await sample.start(KAFKA_BOOTSTRAP_SERVERS=doors.proxied, KAFKA_GROUP_INSTANCE_ID="cut-off")
    await sample.publish(*requests(names=5, each=1))
    await sample.results(5)
    await sample.wait_for("SELECT count(*) FROM outbox", 0)
    if fault == "hangs":
        doors.proxy.stall()
    else:
        doors.proxy.refuse()
        doors.proxy.reset()
    await sample.query(
        "INSERT INTO outbox (event_id, topic, key, headers, value) SELECT gen_random_uuid(), "
        f"'{sample.results_topic}', 'name-' || k, json_build_array(json_build_array('ce_id', k || '/' || n),"
        " json_build_array('ce_sequence', (n + 1)::text))::text,"
        " convert_to(json_build_object('name', 'name-' || k, 'n', n, 'count', n + 1)::text, 'UTF8')"
        " FROM generate_series(1, 3) AS n, generate_series(0, 4) AS k ORDER BY n, k"
    )
    await sample.wait_for("SELECT count(*) FROM outbox WHERE owner IS NOT NULL", 15)
    await sample.start(KAFKA_GROUP_INSTANCE_ID="two")
    await sample.query("UPDATE streams SET sequence = 4")
    await sample.query("UPDATE tallies SET count = 4")
    await sample.publish(*({"name": f"name-{number}", "n": 4} for number in range(5)))

    await asyncio.sleep(UNREACHABLE_S - 20)  # it may not let go any earlier
    assert len(await sample.query("SELECT FROM outbox")) == 20
    assert_in_order(await sample.results(25), names=5, each=5)
    await sample.wait_for("SELECT count(*) FROM outbox", 0)
    assert "kafka_unreachable" in {line["event"] for line in sample.log(0)}

    doors.proxy.heal()
    await sample.wait_for_log(0, "kafka_reachable")
    sample.instances[1].end()
    await sample.publish(*({"name": f"name-{number}", "n": 5} for number in range(5)))
    assert_in_order(await sample.results(30), names=5, each=6)
    if fault == "refused":
        # After a hang, requests that were on their way may still arrive; readers drop those repeats.
        assert len(await sample.read(sample.results_topic, lambda found: len(found) >= 30)) == 30
