"""Whether 1C is as the mapping says: names, types, lengths and rights, before anything is written there.

A wrong name would be ignored by 1C without a word, and what is too long cut off. So the gateway does not begin until
every mistake is mended, and says in the administrator's language what is wrong, where, and what there is instead.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, Literal

import structlog

from chassis.service import Runtime
from services.onec_gateway.onec import metadata
from services.onec_gateway.onec.client import Call, OneC
from services.onec_gateway.onec.errors import NoAnswer, NoRights, OneCError, Refused
from services.onec_gateway.onec.manners import NOT_VERIFIED, Manners
from services.onec_gateway.onec.mapping import Mapping as Names
from services.onec_gateway.onec.metadata import EntitySet
from services.onec_gateway.onec.search import MARKER

log = structlog.get_logger(__name__)

AGAIN_S: Final = 30.0
FIRST_AGAIN_S: Final = 1.0
_CALL: Final = Call("verify", held=True, again_s=AGAIN_S)
_LEAD_ID: Final = 36
_PHONE: Final = 16
_USUAL_NAME: Final = 100

Severity = Literal["error", "warning"]
# By the last part of the mapping's key: which types do, and how many characters must fit.
_GUIDS: Final = frozenset({"ref", "client", "kind"})
_FLAGS: Final = frozenset({"deletion_mark", "posted"})
_DATES: Final = frozenset({"date", "registered_at", "reserved_through", "contract_date"})
_NUMBERS: Final = frozenset({"amount"})
_SPECIAL: Final = frozenset({"line", "type", "phones"})
_KINDS: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(_GUIDS, ("Guid",)),
    **dict.fromkeys(_FLAGS, ("Boolean",)),
    **dict.fromkeys(_DATES, ("DateTime",)),
    **dict.fromkeys(_NUMBERS, ("Double", "Decimal", "Int64", "Int32", "Int16")),
}
_NEEDED: Final = {
    "partner_journal": {"lead_id": _LEAD_ID, "phone": _PHONE, "partner_id": 64, "agreement": 50},
    "clients": {"comment": len(MARKER) + _LEAD_ID},
}
# The history of a client, and the mark of a reserved one with what the manager wrote behind it.
_USUAL_HISTORY: Final = 500
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
# Not names of fields but values that are written, or say how the section is meant.
_VALUES: Final = frozenset(
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
_WRITTEN: Final = {
    "subject_handed_over": "subject",
    "state_active": "state",
    "state_expired": "state",
    "state_won": "state",
    "state_withdrawn": "state",
}
_WRITTEN_TO: Final = frozenset({"clients", "general_journal", "partner_journal"})


@dataclass(frozen=True, slots=True)
class Problem:
    """Something the administrator must mend (`error`), or should know. `place` is where it stands in the mapping."""

    severity: Severity
    place: str
    message: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What a look at 1C found."""

    problems: tuple[Problem, ...]
    sets: Mapping[str, EntitySet]

    @property
    def is_good(self) -> bool:
        return all(problem.severity != "error" for problem in self.problems)

    def length(self, entity: str, name: str) -> int | None:
        """How many characters 1C keeps in a field; None: as many as there are."""
        found = self.sets.get(entity)
        field = found.fields.get(name) if found is not None else None
        return field.length if field is not None else None


async def verify(onec: OneC, names: Names) -> Verified:
    """Compare the mapping with `$metadata`, and try each set with a harmless read. Raises NoAnswer and NotReached."""
    try:
        sets = metadata.parse(await onec.metadata(_CALL))
    except ValueError:
        raise NoAnswer("not-1c", 200) from None
    problems = list(compare(names, sets))
    for section, mapped in _sections(names):
        if mapped["set"] in sets:
            problems.extend([problem async for problem in _try(onec, section, mapped, sets[mapped["set"]])])
    if not any(problem.severity == "error" for problem in problems):
        problems.extend(await _phone_kind(onec, names))
    return Verified(tuple(problems), sets)


def compare(names: Names, sets: Mapping[str, EntitySet]) -> Iterator[Problem]:
    """The mapping's mistakes against what is published."""
    for section, mapped in _sections(names):
        entity = sets.get(mapped["set"])
        if entity is None:
            yield Problem("error", f"[{section}] set", _no_set(mapped["set"], sets))
            continue
        for key, name in mapped.items():
            if key in _VALUES or not name:
                continue
            yield from _field(section, key, name, mapped["set"], entity)
        for key, field_key in _WRITTEN.items():
            limit = _length(entity, mapped.get(field_key, ""))
            if key in mapped and limit is not None and len(mapped[key]) > limit:
                message = (
                    f"значение «{mapped[key]}» длиннее поля {mapped[field_key]}: 1С оставит от него {limit} знаков"
                )
                yield Problem("error", f"[{section}] {key}", message)
    yield from _keys(names, sets)


def _field(section: str, key: str, name: str, entity_name: str, entity: EntitySet) -> Iterator[Problem]:
    place = f"[{section}] {key}"
    field = entity.fields.get(name)
    if field is None:
        like = _like(name, entity.fields)
        yield Problem("error", place, f"в {entity_name} нет поля {name}{like}")
        return
    if key in _SPECIAL:
        return
    wanted = _KINDS.get(key, ("String",))
    if field.kind not in wanted:
        is_now, should = _RUSSIAN.get(field.kind, field.kind), _RUSSIAN[wanted[0]]
        yield Problem("error", place, f"поле {name} в {entity_name}: это {is_now}, а нужна {should}")
    needed = _NEEDED.get(section, {}).get(key)
    if needed is not None and field.length is not None and field.length < needed:
        kept = f"поле {name} в {entity_name} хранит {field.length} знаков"
        message = f"{kept}, а нужно не меньше {needed}: лишнее 1С молча отрежет"
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


def _keys(names: Names, sets: Mapping[str, EntitySet]) -> Iterator[Problem]:
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


async def _try(onec: OneC, section: str, mapped: Mapping[str, str], entity: EntitySet) -> AsyncIterator[Problem]:
    """The right to read, tried; the right to write shows only when something is written."""
    key = next(iter(entity.key), next(iter(entity.fields)))
    try:
        await onec.find(_CALL, mapped["set"], "", (key,), top=1)
    except NoRights:
        rights = "чтение и изменение" if section in _WRITTEN_TO else "чтение"
        message = f"у пользователя обмена нет права чтения {mapped['set']}: добавьте в его роль {rights} этого объекта"
        yield Problem("error", f"[{section}] set", message)
    except Refused as error:
        yield Problem(
            "error", f"[{section}] set", f"1С отказала в чтении {mapped['set']}: {error.text or error.reason}"
        )


async def _phone_kind(onec: OneC, names: Names) -> list[Problem]:
    kinds = names.phone_kinds
    there = await onec.find(_CALL, kinds.set, f"{kinds.name} eq '{kinds.client_phone}'", (kinds.ref,))
    if there:
        return []
    rows = await onec.find(_CALL, kinds.set, "", (kinds.name,), top=100)
    others = [str(row.get(kinds.name)) for row in rows if row.get(kinds.name)]
    message = f"в {kinds.set} нет вида «{kinds.client_phone}»{_like(kinds.client_phone, others)}"
    return [Problem("error", "[phone_kinds] client_phone", message)]


def _sections(names: Names) -> Iterator[tuple[str, dict[str, str]]]:
    for section in type(names).model_fields:
        part = getattr(names, section)
        if part is not None:
            mapped = part.model_dump()
            if section == "partner_journal":
                mapped["kind_of_journal"] = mapped.pop("kind")
            yield section, mapped


def _no_set(name: str, sets: Mapping[str, EntitySet]) -> str:
    like = _like(name, sets)
    return (
        f"набор {name} не опубликован или называется иначе{like}. Опубликовать объект: "
        "«Настройка автоматического REST-сервиса» или УстановитьСоставСтандартногоИнтерфейсаOData()"
    )


def _like(name: str, others: Collection[str]) -> str:
    near = get_close_matches(name, list(others), n=3, cutoff=0.5)
    return f"; похожи: {', '.join(near)}" if near else ""


def _length(entity: EntitySet, name: str) -> int | None:
    field = entity.fields.get(name)
    return field.length if field is not None else None


class Verification:
    """Keeps the gate to 1C held until the mapping is right, and knows the lengths from then on."""

    def __init__(self, onec: OneC, names: Names, manners: Manners) -> None:
        self._onec = onec
        self._names = names
        self._manners = manners
        self._found: Verified | None = None
        manners.hold(NOT_VERIFIED)

    def length(self, entity: str, name: str) -> int | None:
        return self._found.length(entity, name) if self._found is not None else None

    def why_not(self) -> str | None:
        """Why the gateway does not exchange with 1C yet."""
        if self._found is None:
            return "1C has not been asked yet, or has not answered"
        errors = [problem for problem in self._found.problems if problem.severity == "error"]
        return f"the mapping has {len(errors)} mistakes: see the log, or `verify`" if errors else None

    async def run(self, _: Runtime) -> None:
        """Look until all is right; then there is nothing more to do."""
        pause = FIRST_AGAIN_S
        while True:
            try:
                self._found = await verify(self._onec, self._names)
            except OneCError as error:
                log.warning("1c cannot be verified yet", reason=error.reason, message="1С пока не проверена")
            else:
                for problem in self._found.problems:
                    say = log.error if problem.severity == "error" else log.warning
                    say("mapping", severity=problem.severity, place=problem.place, message=problem.message)
                if self._found.is_good:
                    break
            await asyncio.sleep(pause)
            pause = min(AGAIN_S, pause * 2)
        log.info("1c is as the mapping says", message="Соответствие проверено, обмен с 1С начат")
        self._manners.free(NOT_VERIFIED)
        await asyncio.Event().wait()
