"""One AsyncAPI 3.0.0 document for the whole system: topics, messages, and the services that publish and read them."""

from collections.abc import Sequence
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from contracts import topics
from contracts.base import Message
from contracts.compatibility import Schema
from contracts.leads import RequestRefused

PORTAL: Final = topics.portal_requests("{portal}")
BINDING: Final = {"bindingVersion": "0.5.0"}

SERVICES: Final = ("intake", "onec_gateway", "reservations", "notifier")

# Topic → the services that publish to it, the services that read it.
FLOW: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    topics.PORTAL_REQUESTS: (("portal",), ("intake",)),
    topics.PARTNERS: (("intake",), ("onec_gateway", "notifier")),
    topics.LEADS: (("intake",), ("onec_gateway", "reservations")),
    topics.VERDICTS: (("onec_gateway",), ("reservations", "intake", "notifier")),
    topics.RESERVATIONS: (("reservations",), ("onec_gateway", "notifier", "intake")),
    topics.MESSAGES: (("notifier",), ()),
    topics.OPERATIONS: (("operator",), SERVICES),
    topics.OPERATION_RESULTS: (SERVICES, ("operator",)),
    topics.DEAD_LETTERS: ((*SERVICES, "operator"), ("operator",)),
}

# Kinds that a second service publishes, too, on its own topic: topic → `ce_type`s.
ALSO_PUBLISHED: Final = {topics.RESERVATIONS: (RequestRefused.ce_type,)}

_TEXT: Final = {"type": "string", "minLength": 1}
_TIME: Final = {"type": "string", "format": "date-time"}
_TRACE: Final = {"type": "string", "pattern": "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"}
_REQUEST_ID: Final = {
    "type": "string",
    "pattern": r"^[\x21-\x7e]{1,255}$",
    "description": "The idempotency key: the same id and body take effect once, another body is refused",
}
_EVENT_ID: Final = {
    "type": "string",
    "format": "uuid",
    "description": "Derived from the cause: an event that is published again has the same id",
}


def _headers(event_id: Schema, more: dict[str, Schema], required: Sequence[str]) -> Schema:
    always = {
        "ce_specversion": {"type": "string", "const": "1.0"},
        "ce_id": event_id,
        "ce_type": _TEXT,
        "ce_source": {"type": "string", "format": "uri-reference", "minLength": 1},
        "ce_time": _TIME,
    }
    optional = {"content-type": {"type": "string", "const": "application/json"}, "traceparent": _TRACE}
    return {
        "type": "object",
        "description": "CloudEvents 1.0, Kafka binary mode: UTF-8 text",
        "properties": {**always, **more, **optional},
        "required": [*always, *required],
    }


HEADERS: Final[dict[str, Schema]] = {
    "PortalRequestHeaders": _headers(_REQUEST_ID, {}, ()),
    "EventHeaders": _headers(
        _EVENT_ID,
        {
            "ce_subject": {**_TEXT, "description": "The lead id, if the message is about a lead"},
            "ce_correlationid": {**_TEXT, "description": "The ce_id of the first message of the chain of causes"},
            "ce_causationid": {**_TEXT, "description": "The ce_id of the message that caused this event"},
            "ce_sequence": {
                "type": "string",
                "pattern": "^[0-9]+$",
                "description": "Numbers the events of one key and one producer from 1; a state with a lower number than"
                " a state that was read before is older, and is ignored",
            },
            "replay": {
                **_TEXT,
                "description": "Only on replays and discards of dead letters, which have keys of their own: the name of"
                " the one service that handles the record, and more. All other readers skip the record",
            },
        },
        ("ce_correlationid", "ce_causationid"),
    ),
}


def address(message: type[Message]) -> str:
    """The name of the message's topic, with `{portal}` where each portal has a topic of its own."""
    return PORTAL.name if message.topic == topics.PORTAL_REQUESTS else message.topic


def key_form(message: type[Message]) -> str | None:
    """The record key in terms of the message's fields, such as `client_key`. None: the producer chooses the key."""
    try:
        return _named(message).key
    except NotImplementedError:
        return None


def document(messages: Sequence[type[Message]]) -> Schema:
    """The AsyncAPI document of `messages`. It refers to no other file."""
    references, definitions = models_json_schema(
        [(message, "validation") for message in messages], ref_template="#/components/schemas/{model}"
    )
    schemas: dict[str, Schema] = definitions["$defs"]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Truce",
            "version": "1",
            "description": "Every message on every topic. Readers ignore fields and kinds that they do not know.",
        },
        "defaultContentType": "application/json",
        "channels": {
            topic: _channel(topic, [*(m.ce_type for m in messages if m.topic == topic), *ALSO_PUBLISHED.get(topic, ())])
            for topic in FLOW
        },
        "operations": {
            f"{service}.{action}.{topic}": {
                "action": action,
                "channel": {"$ref": f"#/channels/{topic}"},
                "tags": [{"name": service}],
            }
            for topic, sides in FLOW.items()
            for action, services in zip(("send", "receive"), sides, strict=True)
            for service in services
        },
        "components": {
            "messages": {m.ce_type: _message(m, references[m, "validation"], schemas[m.__name__]) for m in messages},
            "schemas": {**HEADERS, **schemas},
        },
    }


def _named(message: type[Message]) -> Message:
    """An instance whose fields hold their own names, so that its properties name the fields that they consist of."""
    fields: dict[str, Any] = {name: name for name in message.model_fields}
    return message.model_construct(**fields)


def _message(message: type[Message], reference: Schema, schema: Schema) -> Schema:
    base = "PortalRequestHeaders" if message.topic == topics.PORTAL_REQUESTS else "EventHeaders"
    own: Schema = {"properties": {"ce_type": {"const": message.ce_type}}}
    if _named(message).subject is not None:
        own["required"] = ["ce_subject"]
    form = key_form(message)
    key = schema["properties"].get(
        form, {"description": form or "free: intake publishes the request under another key"}
    )
    return {
        "name": message.ce_type,
        "title": schema["title"],
        "summary": " ".join(schema["description"].split()),
        "headers": {"type": "object", "allOf": [{"$ref": f"#/components/schemas/{base}"}, own]},
        "payload": reference,
        "bindings": {"kafka": {"key": key, **BINDING}},
    }


def _channel(topic: str, kinds: Sequence[str]) -> Schema:
    spec = next((spec for spec in topics.TOPICS if spec.name == topic), PORTAL)
    settings: dict[str, Any] = {name: int(text) if text.isdigit() else text for name, text in spec.config.items()}
    settings["cleanup.policy"] = spec.config["cleanup.policy"].split(",")
    channel: Schema = {
        "address": spec.name,
        "messages": {kind: {"$ref": f"#/components/messages/{kind}"} for kind in kinds},
        "bindings": {"kafka": {"partitions": spec.partitions, "topicConfiguration": settings, **BINDING}},
    }
    if spec is PORTAL:
        channel["parameters"] = {"portal": {"description": "The only portal that may write to this topic"}}
    return channel
