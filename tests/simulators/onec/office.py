"""Actions of the builder's office in 1C: enquiries, sales, employees, with phones typed in several forms."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from typing import Any

import orjson

from tests.simulators.kit.clock import parse_moment
from tests.simulators.onec.config import CLIENT_PHONE_KIND, CLIENTS, DEALS, ENQUIRIES, MANAGER, PARTNER_JOURNAL, USERS
from tests.simulators.onec.store import Infobase, Numbering
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


def act(infobase: Infobase, order: dict[str, Any], now: datetime, zone: tzinfo) -> dict[str, Any]:
    """Carry out one action of the office and return its references. Raises ValueError for an unknown action."""
    name = str(order["action"])
    if name not in _ACTIONS:
        raise ValueError(f"unknown action {name!r}; known: {', '.join(_ACTIONS)}")
    return _ACTIONS[name](infobase, order, now, zone)


def _redate(infobase: Infobase, order: dict[str, Any], _: datetime, zone: tzinfo) -> dict[str, Any]:
    date = _naive(parse_moment(str(order["date"]), zone), zone)
    infobase.update(ENQUIRIES, (str(order["enquiry_ref"]),), {"Date": date})
    return {"enquiry_ref": str(order["enquiry_ref"])}


def _renumber(infobase: Infobase, order: dict[str, Any], _: datetime, __: tzinfo) -> dict[str, Any]:
    """A person types another number into an enquiry; 1C does not require numbers to be unique."""
    infobase.update(ENQUIRIES, (str(order["enquiry_ref"]),), {"Number": str(order["number"])})
    return {"enquiry_ref": str(order["enquiry_ref"])}


def _delete(infobase: Infobase, order: dict[str, Any], _: datetime, __: tzinfo) -> dict[str, Any]:
    key = (str(order["enquiry_ref"]),)
    if order.get("physically"):
        infobase.delete(ENQUIRIES, key)
    else:
        infobase.update(ENQUIRIES, key, {"DeletionMark": True})
    return {"enquiry_ref": key[0]}


def _copy(infobase: Infobase, order: dict[str, Any], now: datetime, zone: tzinfo) -> dict[str, Any]:
    """A person copies an enquiry: all fields are those of the original, but the number, the date and the marks."""
    original = infobase.get(ENQUIRIES, (str(order["enquiry_ref"]),))
    date = _naive(parse_moment(str(order["date"]), zone) if order.get("date") else now, zone)
    copied = {name: value for name, value in original.items() if name not in ("Number", "DeletionMark")}
    copy = infobase.create(ENQUIRIES, {**copied, "Date": date, "Posted": True})
    return {"enquiry_ref": copy["Ref_Key"], "number": copy["Number"], "date": with_offset(date, zone)}


def _attach(infobase: Infobase, order: dict[str, Any], _: datetime, __: tzinfo) -> dict[str, Any]:
    """A person selects another client in an enquiry."""
    card = {"ПотенциальныйКлиент_Key": str(order["client_ref"])}
    infobase.update(ENQUIRIES, (str(order["enquiry_ref"]),), card)
    return {"enquiry_ref": str(order["enquiry_ref"])}


def _enter_card(infobase: Infobase, order: dict[str, Any], _: datetime, __: tzinfo) -> dict[str, Any]:
    """A person creates a card without an enquiry."""
    row = contact_row(str(order["phone"]), str(order.get("form") or ""))
    body = {"Description": str(order["full_name"]), "КонтактнаяИнформация": [row]}
    return {"client_ref": infobase.create(CLIENTS, body)["Ref_Key"]}


def _add_phone(infobase: Infobase, order: dict[str, Any], _: datetime, __: tzinfo) -> dict[str, Any]:
    """A person adds a phone to a card, or with `text` types exactly this text into the line of the phone."""
    card = str(order["client_ref"])
    rows = infobase.get(CLIENTS, (card,))["КонтактнаяИнформация"]
    text = str(order.get("text") or "")
    row = contact_row(str(order.get("phone") or text), str(order.get("form") or ""))
    if text:
        row |= {"Представление": text, "НомерТелефона": "", "НомерТелефонаБезКодов": ""}
    row["LineNumber"] = str(len(rows) + 1)
    infobase.update(CLIENTS, (card,), {"КонтактнаяИнформация": [*rows, row]})
    return {"client_ref": card}


def _set_numbering(infobase: Infobase, order: dict[str, Any], _: datetime, __: tzinfo) -> dict[str, Any]:
    """The administrator changes the prefix of new documents, and whether numbers begin again with each year."""
    infobase.numbering = Numbering(str(order.get("prefix", "0000-")), bool(order.get("by_year", False)))
    return {"prefix": infobase.numbering.prefix, "by_year": infobase.numbering.by_year}


def _fill_series(infobase: Infobase, order: dict[str, Any], now: datetime, zone: tzinfo) -> dict[str, Any]:
    """Many old enquiries of one card in a series of their own, as a base has that another office worked in before."""
    number = int(order["count"])
    card = _enter_card(infobase, {"full_name": "Архив", "phone": "+79030000000"}, now, zone)["client_ref"]
    first, last = now - timedelta(days=30), now - timedelta(days=2)
    infobase.create_all(
        ENQUIRIES,
        (
            {
                "Date": _naive(first + (last - first) * (n / number), zone),
                "Number": f"{order['prefix']}{n:06d}",
                "Posted": True,
                "ПотенциальныйКлиент_Key": card,
            }
            for n in range(1, number + 1)
        ),
    )
    return {"client_ref": card}


def _fill_journal(infobase: Infobase, order: dict[str, Any], _: datetime, __: tzinfo) -> dict[str, Any]:
    """Many entries of the partner journal at once, as a base has that was worked in for long."""
    infobase.create_all(PARTNER_JOURNAL, order["entries"])
    return {"entries": len(order["entries"])}


def _cancel_sale(infobase: Infobase, order: dict[str, Any], _: datetime, __: tzinfo) -> dict[str, Any]:
    infobase.update(DEALS, (str(order["deal_ref"]),), {"Posted": False, "DeletionMark": True})
    return {"deal_ref": str(order["deal_ref"])}


def _employ(infobase: Infobase, order: dict[str, Any], _: datetime, __: tzinfo) -> dict[str, Any]:
    contact = contact_row(str(order["phone"]), str(order.get("form") or ""))
    body = {"Description": str(order["full_name"]), "КонтактнаяИнформация": [contact]}
    return {"employee_ref": infobase.create(USERS, body)["Ref_Key"]}


def _dismiss(infobase: Infobase, order: dict[str, Any], _: datetime, __: tzinfo) -> dict[str, Any]:
    infobase.delete(USERS, (str(order["employee_ref"]),))
    return {"employee_ref": str(order["employee_ref"])}


def _sell(infobase: Infobase, order: dict[str, Any], now: datetime, zone: tzinfo) -> dict[str, Any]:
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


_ACTIONS: dict[str, Callable[[Infobase, dict[str, Any], datetime, tzinfo], dict[str, Any]]] = {
    "redate": _redate,
    "delete": _delete,
    "sell": _sell,
    "cancel-sale": _cancel_sale,
    "employ": _employ,
    "dismiss": _dismiss,
    "copy": _copy,
    "attach": _attach,
    "renumber": _renumber,
    "enter-card": _enter_card,
    "add-phone": _add_phone,
    "numbering": _set_numbering,
    "fill-series": _fill_series,
    "fill-journal": _fill_journal,
}
