"""The wiring tables of the services agree with the published AsyncAPI document about senders and readers."""

import json
from typing import Any
from uuid import UUID

from joserfc.jwk import OKPKey

from chassis.service import Service
from contracts.asyncapi import FLOW
from contracts.catalogue import MESSAGES
from contracts.dead_letters import DeadLetterReplayed
from contracts.topics import DEAD_LETTERS, OPERATION_RESULTS, OPERATIONS, PORTAL_REQUESTS, TOPICS
from services.intake import app as intake
from services.intake.settings import Settings as IntakeSettings
from services.notifier import app as notifier
from services.notifier.settings import Settings as NotifierSettings
from services.onec_gateway import app as onec_gateway
from services.onec_gateway.settings import Settings as GatewaySettings
from services.reservations import app as reservations
from services.reservations.settings import Settings as ReservationsSettings
from tests.contracts.keys import INTAKE_JWK, KEY, OPERATOR_JWK, private

_COMMON = {
    "database_url": "postgresql://nobody@127.0.0.1:1/none",
    "admin_port": 0,
    "DEAD_LETTERS_PUBLIC_KEY": json.dumps(private(OPERATOR_JWK).as_dict(private=False)),
}
_SEALING = {"sealing_keys": json.dumps({"keys": [KEY]})}
_SECRET = {"client_key_secret": "5f" * 32}
_HISTORY = {"history_key": "6a" * 32}


def wiring() -> dict[str, Service]:
    """The wiring table of every service, by the name of its folder."""
    receipt = json.dumps(OKPKey.generate_key("Ed25519", {"kid": "r1"}).as_dict(private=True))
    own: dict[str, Any] = {"http_port": 0, "receipt_key": receipt, "unsealing_key": json.dumps(INTAKE_JWK)}
    onec = {"url": "http://127.0.0.1:1/crm", "user": "u", "password": "p"}
    smsc = {"smsc_url": "http://127.0.0.1:1", "smsc_login": "l", "smsc_password": "p"}
    return {
        "intake": intake.build(IntakeSettings.model_validate({**_COMMON, **_SEALING, **_SECRET, **own})),
        "onec_gateway": onec_gateway.build(GatewaySettings.model_validate({**_COMMON, **_SEALING, **_SECRET, **onec})),
        "reservations": reservations.build(ReservationsSettings.model_validate({**_COMMON, **_HISTORY})),
        "notifier": notifier.build(NotifierSettings.model_validate({**_COMMON, **_SEALING, **smsc})),
    }


async def test_the_published_document_names_the_readers_and_senders_of_every_topic() -> None:
    tables = wiring()
    read = {name: {rule.topic for rule in table.rules if rule.topic} for name, table in tables.items()}
    published = {name: set(table.produces) for name, table in tables.items()}

    for topic, (senders, readers) in FLOW.items():
        if topic not in (PORTAL_REQUESTS, DEAD_LETTERS, OPERATIONS, OPERATION_RESULTS):
            assert set(readers) == {name for name, topics in read.items() if topic in topics}, topic
            assert set(senders) == {name for name, topics in published.items() if topic in topics}, topic
    assert [name for name, table in tables.items() if table.external] == list(FLOW[PORTAL_REQUESTS][1])


async def test_every_service_answers_replays_of_its_dead_letters() -> None:
    for table in wiring().values():
        message = table.replayed(UUID(int=1), "handled")
        assert isinstance(message, DeadLetterReplayed)
        assert message.service == table.name


def test_every_message_on_a_compacted_topic_is_a_whole_state_and_no_other() -> None:
    compacted = {spec.name for spec in TOPICS if spec.config["cleanup.policy"] == "compact"}

    assert {message.ce_type for message in MESSAGES if message.topic in compacted} == {
        message.ce_type for message in MESSAGES if message.is_state
    }


async def test_every_service_reads_operations_and_answers_them() -> None:
    tables = wiring()

    assert set(FLOW[OPERATIONS][1]) == {name for name, table in tables.items() if table.operations.topic == OPERATIONS}
    assert set(FLOW[OPERATION_RESULTS][0]) == {
        name for name, table in tables.items() if table.operations.answers == OPERATION_RESULTS
    }


async def test_a_service_consumes_a_message_from_the_topic_it_is_published_on() -> None:
    for table in wiring().values():
        for rule in table.rules:
            assert rule.topic is None or rule.topic == rule.body.__dict__["topic"]
        for topic, kinds in table.produces.items():
            assert {kind.__dict__["topic"] for kind in kinds} == {topic}
