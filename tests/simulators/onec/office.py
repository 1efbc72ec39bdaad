"""Actions of the builder's office in 1C: enquiries, sales, employees, with phones typed in several forms."""

import re
from collections.abc import Callable
from datetime import datetime, tzinfo
from typing import Any

import orjson

from tests.simulators.kit.clock import parse_moment
from tests.simulators.onec.config import CLIENT_PHONE_KIND, CLIENTS, DEALS, ENQUIRIES, MANAGER, USERS
from tests.simulators.onec.store import Infobase
from tests.simulators.onec.values import Row
from tests.simulators.onec.views import with_offset

# The forms of a stored phone, each as (НомерТелефона, НомерТелефонаБезКодов). `presentation` leaves both columns
# empty, and a search for the last seven digits misses `dashed`: both are used on request only.
_FORMS: dict[str, Callable[[str, str], tuple[str, str]]] = {
    "digits": lambda digits, _: (digits, digits[-10:]),
    "formatted": lambda digits, pretty: (pretty, digits[-7:]),
    "short": lambda digits, _: ("", digits[-7:]),
    "dashed": lambda _, pretty: (pretty, pretty[-9:]),
    "presentation": lambda *_: ("", ""),
}
_USUAL_FORMS = ("digits", "formatted", "short")


def _digits(phone: str) -> str:
    digits = re.sub(r"\D", "", phone)
    if len(digits) == 10:
        return "7" + digits
    return "7" + digits[1:] if len(digits) == 11 and digits.startswith("8") else digits


def contact_row(phone: str, form: str = "") -> Row:
    """A row of КонтактнаяИнформация. Without a form, the phone determines the form. Raises ValueError."""
    digits = _digits(phone)
    if not digits:
        raise ValueError("phone has no digits")
    pretty = "+" + digits
    if len(digits) == 11 and digits.startswith("7"):
        pretty = f"+7 ({digits[1:4]}) {digits[4:7]}-{digits[7:9]}-{digits[9:]}"
    form = form or _USUAL_FORMS[int(digits) % len(_USUAL_FORMS)]
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
    """Create a card with a phone, and an enquiry of that client with the date in the order, or `now` by default."""
    given = order.get("date") or order.get("enquired_at")
    moment = parse_moment(str(given), zone) if given else now
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
        "date": with_offset(date, zone) or "",
    }


def act(infobase: Infobase, order: dict[str, Any], now: datetime, zone: tzinfo) -> dict[str, str]:
    """Carry out one action of the office and return its references. Raises ValueError for an unknown action."""
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
    """Create a sale to the client of a card; without `client_ref`, a new card is created."""
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
