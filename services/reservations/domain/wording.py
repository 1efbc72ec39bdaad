"""Texts about a client's history, in Russian: one line an entry, for people who argue about a client."""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

REASONS: Final = {
    "already-yours": "клиент уже закреплён за этим партнёром",
    "held-by-partner": "клиент закреплён за другим партнёром",
    "known-to-builder": "клиент уже был у застройщика",
    "not-a-client": "это телефон партнёра или сотрудника",
    "already-sold": "клиент уже купил",
    "unknown-lead": "такой заявки нет, или она отозвана",
    "not-yours": "заявка другого партнёра",
    "too-late": "срок для этого прошёл",
    "extension-limit": "возвращать больше нельзя: предел достигнут",
    "outside-window": "до конца срока ещё слишком далеко",
    "already-returned": "возврат уже на рассмотрении или выполнен меньше суток назад",
    "no-sale": "продажи в рамках закрепления в системе нет",
    "already-claimed": "вознаграждение за эту продажу уже заявлено или решено",
    "deal-cancelled": "сделка отменена",
}
_REQUESTS: Final = {
    "return-lead.v1": "вернуть клиента",
    "withdraw-lead.v1": "отозвать заявку",
    "claim-reward.v1": "вознаграждение",
    "settle-reward.v1": "решить о вознаграждении",
}
# The rules by which the gateway decides, with the evidence.
_GROUNDS: Final = {
    "free": "в 1С клиента нет, и никто его не держит",
    "own-hold": "держит лид {evidence}",
    "others-hold": "держит лид {evidence}",
    "handed-over": "истекло закрепление по лиду {evidence}",
    "won": "куплено по лиду {evidence}",
    "enquiry": "обращение {evidence} в 1С",
    "card": "карточка {evidence} в 1С",
    "own-card": "та же карточка в 1С, держит лид {evidence}",
    "same-card": "та же карточка в 1С, держит лид {evidence}",
    "insider": "телефон {evidence}",
    "sale": "продажа {evidence} в 1С",
    "ruling": "обращение {evidence} в 1С рядом по времени",
}
_UNITS: Final = (
    ("год", "года", "лет"),
    ("месяц", "месяца", "месяцев"),
    ("неделя", "недели", "недель"),
    ("день", "дня", "дней"),
    ("час", "часа", "часов"),
    ("минута", "минуты", "минут"),
    ("секунда", "секунды", "секунд"),
)
_TERM: Final = re.compile(
    r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", re.ASCII
)
# Stored entries are never rewritten, or their hashes would not hold. Entries written before the database's revision
# 0004 have these names.
_FORMER_KEYS: Final = {"rule": "term", "asked": "request_type"}
_FORMER_KINDS: Final = {"return-asked": "reinstatement-requested"}


def renamed(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry of any age under the names that new entries have."""
    current = {_FORMER_KEYS.get(key, key): value for key, value in entry.items()}
    if (kind := current.get("what")) in _FORMER_KINDS:
        current["what"] = _FORMER_KINDS[kind]
    return current


def describe(entry: Mapping[str, Any]) -> str:
    """Return the text of an entry of any age. An entry of an unknown kind is listed key by key."""
    match current := renamed(entry):
        case {"what": "opened", "partner": partner, "through": through, "term": term, "zone": zone}:
            text = f"Закреплён за партнёром {partner} по {_day(through)}"
            return f"{text}: срок {_term(term)} от подтверждения, пояс {zone}{_grounds(current)}"
        case {"what": "rejected", "partner": partner, "reason": reason}:
            return f"Заявка партнёра {partner} отклонена: {_why(reason)}{_grounds(current)}"
        case {"what": "reminded", "left": left}:
            return f"Напоминание: осталось дней — {left}"
        case {"what": "expired", "through": through}:
            return f"Закрепление по {_day(through)} истекло, клиент у застройщика"
        case {"what": "extended", "who": who, "why": why, "through": through, "term": term}:
            return f"Продлён по {_day(through)}: ещё {_term(term)} от того же начала; решил {who}: {why}"
        case {"what": "reinstatement-requested", "who": who, "why": why}:
            return f"Запрошен возврат после истечения: {who}: {why}"
        case {"what": "reinstated", "through": through, "term": term}:
            return f"Возвращён партнёру по {_day(through)}: новый срок {_term(term)} с этого дня"
        case {"what": "refused", "request_type": request_type, "reason": reason}:
            return f"Отказано ({_REQUESTS.get(request_type, request_type)}): {_why(reason)}"
        case {"what": "withdrawn", "who": who, "why": why}:
            return f"Заявка отозвана, клиент свободен: {who}: {why}"
        case {"what": "won", "contract": contract, "sold_on": sold_on, "amount": amount, "currency": currency}:
            late = ", известие пришло после истечения" if current.get("corrects") else ""
            sale = f"договор {contract} от {_day(sold_on)}, {amount} {currency}{late}{_linked(current)}"
            return f"Продан в срок закрепления: {sale}"
        case {"what": "sold-inside", "contract": contract, "sold_on": sold_on}:
            sale = f"договор {contract} от {_day(sold_on)}{_linked(current)}"
            return f"Ещё одна продажа в срок закрепления: {sale}"
        case {"what": "sold-outside", "contract": contract, "sold_on": sold_on}:
            sale = f"договор {contract} от {_day(sold_on)}{_linked(current)}"
            return f"Продажа вне закрепления, собственная продажа застройщика: {sale}"
        case {"what": "sale-void", "deal": deal}:
            return f"Сделка {deal} отменена"
        case {"what": "reopened", "through": through}:
            return f"Закрепление снова действует по {_day(through)}: сделка отменена"
        case {"what": "claim-accepted", "claim": claim, "deal": deal}:
            return f"Заявка на вознаграждение {claim} принята к рассмотрению: сделка {deal} в срок закрепления"
        case {"what": "accrued", "who": who, "why": why, "amount": amount, "currency": currency}:
            return f"Вознаграждение {amount} {currency} начислено: решил {who}: {why}"
        case {"what": "declined", "who": who, "why": why}:
            return f"В вознаграждении отказано: решил {who}: {_why(why)}"
    return ", ".join(f"{name}: {value}" for name, value in current.items())


def _grounds(entry: Mapping[str, Any]) -> str:
    """The rule of a verdict with its evidence, and the ruling if there was one; empty for entries without a rule."""
    if (rule := entry.get("verdict_rule")) is None:
        return ""
    evidence = entry.get("evidence")
    ground = f"правило {rule}" if evidence is None else f"правило {rule}, {evidence}"
    if rule in _GROUNDS:
        ground = _GROUNDS[rule].format(evidence=_owner(evidence))
    ruling = f"; решил {entry['who']}: {entry['why']}" if {"who", "why"} <= entry.keys() else ""
    return f"; основание: {ground}{ruling}"


def _owner(evidence: str | None) -> str:
    """Evidence as people write it: the owner of a phone in words, everything else as it is."""
    if evidence is None:
        return "без ссылки"
    return "сотрудника" if evidence == "staff" else evidence.replace("partner:", "партнёра ", 1)


def _linked(entry: Mapping[str, Any]) -> str:
    return f"; связал {entry['who']}: {entry['why']}" if {"who", "why"} <= entry.keys() else ""


def _term(text: str) -> str:
    """An ISO 8601 duration in words; a text of another form stays as it is."""
    if (found := _TERM.fullmatch(text)) is None:
        return text
    counted = [(int(count), forms) for count, forms in zip(found.groups(), _UNITS, strict=True) if count]
    return " ".join(f"{count} {_plural(count, forms)}" for count, forms in counted) or text


def _plural(count: int, forms: tuple[str, str, str]) -> str:
    if count % 100 in range(11, 15):
        return forms[2]
    return forms[0] if count % 10 == 1 else forms[1] if count % 10 in (2, 3, 4) else forms[2]


def _day(text: str) -> str:
    return f"{date.fromisoformat(text):%d.%m.%Y}"


def _why(reason: str) -> str:
    return REASONS.get(reason, reason)
