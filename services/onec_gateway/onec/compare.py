"""Compares the mapping with what 1C publishes: names, types and lengths. The messages are for 1C's administrator."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, Literal

from services.onec_gateway.onec.mapping import Mapping as Names
from services.onec_gateway.onec.marks import MARKER
from services.onec_gateway.onec.metadata import EntitySet

_LEAD_ID: Final = 36
_PHONE: Final = 16
_USUAL_NAME: Final = 100
_USUAL_HISTORY: Final = 500  # also the length of a mark with what a manager wrote behind it

Severity = Literal["error", "warning"]
# Keys of the mapping by the type that their field must have; a field of any other key must be a string.
_GUIDS: Final = frozenset({"ref", "client", "kind"})
_FLAGS: Final = frozenset({"deletion_mark", "posted"})
_DATES: Final = frozenset({"created", "date", "registered_at", "reserved_through", "contract_date"})
_NUMBERS: Final = frozenset({"amount"})
_ANY_TYPE: Final = frozenset({"line", "type", "phones"})
_TYPES: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(_GUIDS, ("Guid",)),
    **dict.fromkeys(_FLAGS, ("Boolean",)),
    **dict.fromkeys(_DATES, ("DateTime",)),
    **dict.fromkeys(_NUMBERS, ("Double", "Decimal", "Int64", "Int32", "Int16")),
}
# How many characters the field must store.
_LEAST_LENGTHS: Final = {
    "partner_journal": {"lead_id": _LEAD_ID, "phone": _PHONE, "partner_id": 64, "agreement": 50},
    "clients": {"comment": len(MARKER) + _LEAD_ID},
}
_RUSSIAN: Final = {
    "Guid": "ссылка",
    "Boolean": "да/нет",
    "DateTime": "дата",
    "String": "строка",
    "Double": "число",
    "Decimal": "число",
    "Int64": "число",
    "Int32": "число",
    "Int16": "число",
}
# Keys whose value is no name of a field: a set, a value to write, or the kind of the section.
_NO_FIELDS: Final = frozenset(
    {
        "set",
        "kind_of_journal",
        "type_phone",
        "client_phone",
        "subject_handed_over",
        "currency_code",
        "state_active",
        "state_expired",
        "state_won",
        "state_withdrawn",
    }
)
# Keys with a value to write, and the key of the field that must be long enough for the value.
_WRITTEN_VALUES: Final = {
    "subject_handed_over": "subject",
    "state_active": "state",
    "state_expired": "state",
    "state_won": "state",
    "state_withdrawn": "state",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake that the administrator must correct (`error`), or a remark (`warning`).

    `place` is the section and key of the mapping, `message` the Russian text.
    """

    severity: Severity
    place: str
    message: str


def compare(names: Names, sets: Mapping[str, EntitySet]) -> Iterator[Problem]:
    """The problems of the mapping, given the published sets by name."""
    for section, mapped in sections(names):
        entity = sets.get(mapped["set"])
        if entity is None:
            yield Problem("error", f"[{section}] set", _no_set(mapped["set"], sets))
            continue
        for key, name in mapped.items():
            if key in _NO_FIELDS or not name:
                continue
            yield from _field(section, key, name, mapped["set"], entity)
        for key, field_key in _WRITTEN_VALUES.items():
            limit = _length(entity, mapped.get(field_key, ""))
            if key in mapped and limit is not None and len(mapped[key]) > limit:
                message = (
                    f"значение «{mapped[key]}» длиннее поля {mapped[field_key]}: 1С оставит от него {limit} знаков"
                )
                yield Problem("error", f"[{section}] {key}", message)
    yield from _journal_key(names, sets)


def sections(names: Names) -> Iterator[tuple[str, dict[str, str]]]:
    """The name of each section that the mapping has, and its keys and values."""
    for section in type(names).model_fields:
        part = getattr(names, section)
        if part is not None:
            mapped = part.model_dump()
            if section == "partner_journal":
                mapped["kind_of_journal"] = mapped.pop("kind")
            yield section, mapped


def similar(name: str, others: Collection[str]) -> str:
    """The end of a message: which of the other names are similar. Empty if none is."""
    near = get_close_matches(name, list(others), n=3, cutoff=0.5)
    return f"; похожи: {', '.join(near)}" if near else ""


def _field(section: str, key: str, name: str, entity_name: str, entity: EntitySet) -> Iterator[Problem]:
    place = f"[{section}] {key}"
    field = entity.fields.get(name)
    if field is None:
        yield Problem("error", place, f"в {entity_name} нет поля {name}{similar(name, entity.fields)}")
        return
    if key in _ANY_TYPE:
        return
    wanted = _TYPES.get(key, ("String",))
    if field.kind not in wanted:
        is_now, should = _RUSSIAN.get(field.kind, field.kind), _RUSSIAN[wanted[0]]
        yield Problem("error", place, f"поле {name} в {entity_name}: это {is_now}, а нужна {should}")
    least = _LEAST_LENGTHS.get(section, {}).get(key)
    if least is not None and field.length is not None and field.length < least:
        stored = f"поле {name} в {entity_name} хранит {field.length} знаков"
        message = f"{stored}, а нужно не меньше {least}: лишнее 1С молча отрежет"
        yield Problem("error", place, message)
    if (
        section == "general_journal"
        and key in ("comment", "mark")
        and (field.length or _USUAL_HISTORY) < _USUAL_HISTORY
    ):
        message = f"поле {name} хранит {field.length} знаков: история клиента или отметка может не поместиться"
        yield Problem("warning", place, message)
    if key == "full_name" and field.length is not None and field.length < _USUAL_NAME:
        message = f"поле {name} хранит {field.length} знаков: более длинные имена будут целиком в поле комментария"
        yield Problem("warning", place, message)


def _journal_key(names: Names, sets: Mapping[str, EntitySet]) -> Iterator[Problem]:
    journal = names.partner_journal
    entity = sets.get(journal.set)
    if entity is None:
        return
    if journal.kind == "register" and entity.key != (journal.lead_id,):
        message = (
            f"ключ регистра {journal.set}: {', '.join(entity.key) or 'нет'}, а должен быть один {journal.lead_id}: "
            "иначе 1С не откажет во второй записи о том же лиде"
        )
        yield Problem("error", "[partner_journal] lead_id", message)
    if journal.kind == "document" and _length(entity, journal.lead_id) is None and journal.lead_id in entity.fields:
        message = (
            f"{journal.lead_id} неограниченной длины: искать по нему 1С будет медленнее, чем по строке в 36 знаков"
        )
        yield Problem("warning", "[partner_journal] lead_id", message)


def _no_set(name: str, sets: Mapping[str, EntitySet]) -> str:
    return (
        f"набор {name} не опубликован или называется иначе{similar(name, sets)}. Опубликовать объект: "
        "«Настройка автоматического REST-сервиса» или УстановитьСоставСтандартногоИнтерфейсаOData()"
    )


def _length(entity: EntitySet, name: str) -> int | None:
    field = entity.fields.get(name)
    return field.length if field is not None else None
