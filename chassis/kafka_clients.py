"""How Kafka clients of this project connect: addresses, time-outs, security."""

import logging
import ssl
from typing import Any

from faststream.kafka import KafkaBroker
from faststream.kafka.security import parse_security
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from chassis.limits import STOP_GRACE_S, TOPIC_DISCOVERY_MS
from chassis.settings import KafkaSettings

_REQUEST_TIMEOUT_MS = 15_000


def client_options(kafka: KafkaSettings) -> dict[str, Any]:
    """The options that every aiokafka client of this project is made with."""
    return {
        "bootstrap_servers": kafka.bootstrap_servers,
        "request_timeout_ms": _REQUEST_TIMEOUT_MS,
        **parse_security(_security(kafka)),
    }


def new_broker(kafka: KafkaSettings, client_id: str) -> KafkaBroker:
    """A FastStream broker, not started yet. It never creates topics."""
    return KafkaBroker(
        # FastStream takes a text for one address, commas included.
        kafka.bootstrap_servers.split(","),
        client_id=client_id,
        security=_security(kafka),
        allow_auto_create_topics=False,
        metadata_max_age_ms=TOPIC_DISCOVERY_MS,
        graceful_timeout=STOP_GRACE_S,
        apply_types=False,
        logger=logging.getLogger("faststream"),
    )


def _security(kafka: KafkaSettings) -> BaseSecurity:
    context = ssl.create_default_context(cafile=kafka.ssl_cafile) if kafka.security_protocol.endswith("SSL") else None
    if not kafka.security_protocol.startswith("SASL"):
        return BaseSecurity(ssl_context=context, use_ssl=context is not None)
    kinds = {"PLAIN": SASLPlaintext, "SCRAM-SHA-256": SASLScram256, "SCRAM-SHA-512": SASLScram512}
    return kinds[kafka.sasl_mechanism](
        username=kafka.sasl_username or "",
        password=kafka.sasl_password.get_secret_value() if kafka.sasl_password else "",
        ssl_context=context,
        use_ssl=context is not None,
    )
