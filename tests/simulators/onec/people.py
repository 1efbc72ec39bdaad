"""What 1C's own users do: they enter direct enquiries, and phones in as many forms as there are people."""

import re
from collections.abc import Callable
from datetime import datetime, tzinfo
from typing import Any

import orjson

from tests.simulators.kit.clock import parse_moment
from tests.simulators.onec.config import CLIENT_PHONE_KIND, CLIENTS, ENQUIRIES, MANAGER, PARTNER_JOURNAL
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
    date = moment.astimezone(zone).replace(tzinfo=None).isoformat(timespec="seconds")
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


def _moment(naive: str, zone: tzinfo) -> str | None:
    """A date of 1C as RFC 3339 with the infobase's offset; the empty date is None."""
    return None if naive == EMPTY_DATE else datetime.fromisoformat(naive).replace(tzinfo=zone).isoformat()


def partner_journal(infobase: Infobase, zone: tzinfo) -> list[dict[str, Any]]:
    """The partner journal as people would read it off the screen, with the record itself beside."""
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
        for row in infobase.scan(PARTNER_JOURNAL)
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
