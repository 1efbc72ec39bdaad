"""What 1C's own users do: they enter direct enquiries, and phones in as many forms as there are people."""

import re
from collections.abc import Callable
from datetime import datetime, tzinfo
from typing import Any

import orjson

from tests.simulators.kit.clock import parse_moment
from tests.simulators.onec.config import (
    CLIENT_PHONE_KIND,
    CLIENTS,
    DEALS,
    ENQUIRIES,
    MANAGER,
    PARTNER_DOCUMENTS,
    PARTNER_JOURNAL,
    USERS,
)
from tests.simulators.onec.store import Infobase
from tests.simulators.onec.values import EMPTY_DATE, Row

# The forms a phone may be kept in, each as (НомерТелефона, НомерТелефонаБезКодов). `presentation` leaves both
# columns empty, and `dashed` defeats a search for the last seven digits: neither is used unless asked for.
_FORMS: dict[str, Callable[[str, str], tuple[str, str]]] = {
    "digits": lambda digits, _: (digits, digits[-10:]),
    "formatted": lambda digits, pretty: (pretty, digits[-7:]),
    "short": lambda digits, _: ("", digits[-7:]),
    "dashed": lambda _, pretty: (pretty, pretty[-9:]),
    "presentation": lambda *_: ("", ""),
}
_EVERYDAY = ("digits", "formatted", "short")


def _digits(phone: str) -> str:
    digits = re.sub(r"\D", "", phone)
    if len(digits) == 10:
        return "7" + digits
    return "7" + digits[1:] if len(digits) == 11 and digits.startswith("8") else digits


def contact_row(phone: str, form: str = "") -> Row:
    """A row of КонтактнаяИнформация; without a form the phone itself decides, always the same way."""
    digits = _digits(phone)
    if not digits:
        raise ValueError("phone has no digits")
    pretty = "+" + digits
    if len(digits) == 11 and digits.startswith("7"):
        pretty = f"+7 ({digits[1:4]}) {digits[4:7]}-{digits[7:9]}-{digits[9:]}"
    form = form or _EVERYDAY[int(digits) % len(_EVERYDAY)]
    if form not in _FORMS:
        raise ValueError(f"unknown form {form!r}; known: {', '.join(_FORMS)}")
    number, without_codes = _FORMS[form](digits, pretty)
    return {
        "LineNumber": "1",
        "Тип": "Телефон",
        "Вид_Key": CLIENT_PHONE_KIND,
        "Представление": pretty,
        "Значение": orjson.dumps({"value": pretty, "type": "Телефон"}).decode(),
        "НомерТелефона": number,
        "НомерТелефонаБезКодов": without_codes,
    }


def enter_enquiry(infobase: Infobase, order: dict[str, Any], now: datetime, zone: tzinfo) -> dict[str, str]:
    """A card with a phone, and a direct enquiry of that client dated as asked (backdating included)."""
    said = order.get("date") or order.get("enquired_at")
    moment = parse_moment(str(said), zone) if said else now
    date = _naive(moment, zone)
    client = infobase.create(
        CLIENTS,
        {
            "Description": str(order["full_name"]),
            "Ответственный_Key": MANAGER,
            "КонтактнаяИнформация": [contact_row(str(order["phone"]), str(order.get("form") or ""))],
        },
    )
    enquiry = infobase.create(
        ENQUIRIES,
        {
            "Date": date,
            "Posted": True,
            "Тема": str(order.get("subject") or "Прямое обращение"),
            "ПотенциальныйКлиент_Key": client["Ref_Key"],
            "Ответственный_Key": MANAGER,
            "Комментарий": str(order.get("comment") or ""),
        },
    )
    return {
        "client_ref": client["Ref_Key"],
        "enquiry_ref": enquiry["Ref_Key"],
        "number": enquiry["Number"],
        "date": _moment(date, zone) or "",
    }


def act(infobase: Infobase, order: dict[str, Any], now: datetime, zone: tzinfo) -> dict[str, str]:
    """One thing that somebody at the builder does in 1C. Raises ValueError for what nobody does."""
    match str(order["action"]):
        case "redate":
            date = _naive(parse_moment(str(order["date"]), zone), zone)
            infobase.update(ENQUIRIES, (str(order["enquiry_ref"]),), {"Date": date})
            return {"enquiry_ref": str(order["enquiry_ref"])}
        case "delete":
            key = (str(order["enquiry_ref"]),)
            if order.get("physically"):
                infobase.delete(ENQUIRIES, key)
            else:
                infobase.update(ENQUIRIES, key, {"DeletionMark": True})
            return {"enquiry_ref": key[0]}
        case "sell":
            return _sell(infobase, order, now, zone)
        case "cancel-sale":
            infobase.update(DEALS, (str(order["deal_ref"]),), {"Posted": False, "DeletionMark": True})
            return {"deal_ref": str(order["deal_ref"])}
        case "employ":
            employee = infobase.create(
                USERS,
                {
                    "Description": str(order["full_name"]),
                    "КонтактнаяИнформация": [contact_row(str(order["phone"]), str(order.get("form") or ""))],
                },
            )
            return {"employee_ref": employee["Ref_Key"]}
        case "dismiss":
            infobase.delete(USERS, (str(order["employee_ref"]),))
            return {"employee_ref": str(order["employee_ref"])}
        case unknown:
            known = "redate, delete, sell, cancel-sale, employ, dismiss"
            raise ValueError(f"unknown action {unknown!r}; known: {known}")


def _sell(infobase: Infobase, order: dict[str, Any], now: datetime, zone: tzinfo) -> dict[str, str]:
    """A contract with the client of a card, or of a new card made for the phone given."""
    card = str(order.get("client_ref") or "")
    if not card:
        row = contact_row(str(order["phone"]), str(order.get("form") or ""))
        body = {"Description": str(order["full_name"]), "КонтактнаяИнформация": [row]}
        card = infobase.create(CLIENTS, body)["Ref_Key"]
    signed = parse_moment(str(order["contract_date"]), zone) if order.get("contract_date") else now
    deal = infobase.create(
        DEALS,
        {
            "Date": _naive(now, zone),
            "Posted": True,
            "ПотенциальныйКлиент_Key": card,
            "СуммаДокумента": float(order.get("amount", 0)),
            "Валюта": str(order.get("currency", "RUB")),
            "НомерДоговора": str(order.get("contract_number", "")),
            "ДатаДоговора": _naive(signed, zone),
        },
    )
    return {"deal_ref": deal["Ref_Key"], "client_ref": card, "number": deal["Number"]}


def _naive(moment: datetime, zone: tzinfo) -> str:
    return moment.astimezone(zone).replace(tzinfo=None).isoformat(timespec="seconds")


def _moment(naive: str, zone: tzinfo) -> str | None:
    """A date of 1C as RFC 3339 with the infobase's offset; the empty date is None."""
    return None if naive == EMPTY_DATE else datetime.fromisoformat(naive).replace(tzinfo=zone).isoformat()


def partner_journal(infobase: Infobase, zone: tzinfo) -> list[dict[str, Any]]:
    """The partner journal, register and documents, as people would read it, with the record itself beside."""
    entries = [
        {
            "lead_id": row["ИдентификаторЛида"],
            "full_name": row["ФИО"],
            "phone": row["Телефон"],
            "partner": row["Партнер"],
            "partner_id": row["ИдентификаторПартнера"],
            "agreement": row["НомерДоговора"],
            "registered_at": _moment(row["ДатаРегистрации"], zone),
            "reserved_through": None if row["ЗакрепленДо"] == EMPTY_DATE else row["ЗакрепленДо"][:10],
            "state": row["Состояние"],
            "comment": row["Комментарий"],
            "record": row,
        }
        for entity in (PARTNER_JOURNAL, PARTNER_DOCUMENTS)
        for row in infobase.scan(entity)
        if not row.get("DeletionMark")
    ]
    return sorted(entries, key=lambda entry: (entry["record"]["ДатаРегистрации"], entry["lead_id"]))


def general_journal(infobase: Infobase, zone: tzinfo) -> list[dict[str, Any]]:
    """The general journal of incoming enquiries, each with its client's card."""
    cards = {row["Ref_Key"]: row for row in infobase.scan(CLIENTS)}
    entries = []
    for row in sorted(infobase.scan(ENQUIRIES), key=lambda row: (row["Date"], row["Number"])):
        card = cards.get(row["ПотенциальныйКлиент_Key"], {})
        contacts = [contact for contact in card.get("КонтактнаяИнформация", []) if contact["Тип"] == "Телефон"]
        entries.append(
            {
                "ref": row["Ref_Key"],
                "number": row["Number"],
                "date": _moment(row["Date"], zone),
                "subject": row["Тема"],
                "comment": row["Комментарий"],
                "client_ref": row["ПотенциальныйКлиент_Key"],
                "full_name": card.get("Description", ""),
                "phones": [contact["НомерТелефона"] or contact["Представление"] for contact in contacts],
                "posted": row["Posted"],
                "deletion_mark": row["DeletionMark"],
            }
        )
    return entries
