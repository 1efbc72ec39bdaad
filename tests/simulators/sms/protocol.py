"""SMSC.ru's protocol: parameters of requests, forms of answers, and the table of errors."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

import orjson
import phonenumbers
from starlette.requests import Request
from starlette.responses import Response

Parameters = dict[str, str]

ERRORS = {
    1: "parameters error",
    2: "authorise error",
    3: "insufficient funds on client account",
    4: "ip address is temporarily blocked",
    5: "invalid date format",
    6: "message is denied",
    7: "invalid number",
    8: "the message to this number can not be delivered",
    9: "duplicate request, wait a minute",
}
# Errors of a message that was already accepted as a request: their answer contains its id.
_NAMED = frozenset({6, 7, 8})
_MAX_TEXT = 1000
_OWN_ID = re.compile(r"[A-Za-z0-9._-]{1,40}")
_VALID = re.compile(r"(\d{1,2})(?::(\d\d))?")
_SENDER = re.compile(r"[A-Za-z0-9 ._&-]{1,11}|\d{1,15}")


class SmscError(Exception):
    """An error answer of SMSC.ru: HTTP 200 and a code."""

    def __init__(self, code: int, message_id: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.message_id = message_id if code in _NAMED else ""


@dataclass(frozen=True, slots=True)
class Order:
    """A valid request to send."""

    phones: tuple[str, ...]
    text: str
    message_id: str
    sender: str
    time: str
    valid: str
    cost: str


async def form(request: Request) -> Parameters:
    """The parameters of `/sys/…`: query and form body, in `charset` or windows-1251 by default. Raises SmscError."""
    raw = request.scope["query_string"] + b"&" + await request.body()
    text = raw.decode("latin-1")
    charset = dict(parse_qsl(text)).get("charset", "windows-1251")
    if charset.lower() not in ("windows-1251", "utf-8", "koi8-r"):
        raise SmscError(1)
    return dict(parse_qsl(text, keep_blank_values=True, encoding=charset, errors="replace"))


async def json_body(request: Request) -> Parameters:
    """The parameters of `/rest/…`: a flat JSON object; numbers are read as text. Raises SmscError."""
    try:
        body = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        raise SmscError(1) from None
    if not isinstance(body, dict):
        raise SmscError(1)
    parameters: Parameters = {}
    for name, value in body.items():
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise SmscError(1)
        parameters[name] = str(value)
    return parameters


def e164(phone: str) -> str:
    """The number in E.164. Raises SmscError with code 7 for an invalid number."""
    digits = re.sub(r"[\s()-]", "", phone)
    if re.fullmatch(r"\+?\d{10,15}", digits):
        # Without a plus, SMSC.ru reads 7… as an international number, 8… and 9… as Russian numbers.
        plain = f"+{digits}" if digits.startswith("7") and len(digits) == 11 else digits
        try:
            number = phonenumbers.parse(plain, "RU")
        except phonenumbers.NumberParseException:
            raise SmscError(7) from None
        if phonenumbers.is_valid_number(number):
            return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    raise SmscError(7)


def phone_list(text: str) -> tuple[str, ...]:
    """The numbers of a text that separates them by commas or semicolons. Raises SmscError."""
    return tuple(e164(part) for part in re.split(r"[,;]", text) if part.strip())


def own_id(text: str) -> str:
    """The customer's message id: 1..2147483647, or at most 40 of `[A-Za-z0-9._-]`. Raises SmscError with code 1."""
    if text.isascii() and text.isdigit():
        if not 1 <= int(text) <= 2147483647:
            raise SmscError(1)
    elif not _OWN_ID.fullmatch(text):
        raise SmscError(1)
    return text


def checked(parameters: Parameters, next_id: str) -> Order:
    """The request in the parameters. Raises SmscError. `next_id` is the id if the customer sent none."""
    text = parameters.get("mes", "")
    if not parameters.get("phones", "").strip() or not text.strip() or len(text) > _MAX_TEXT:
        raise SmscError(1)
    message_id = own_id(parameters["id"]) if parameters.get("id") not in (None, "", "0") else next_id
    cost = parameters.get("cost", "0")
    if cost not in ("0", "1", "2", "3"):
        raise SmscError(1)
    if not _time_is_good(parameters.get("time", "")):
        raise SmscError(5)
    if not _valid_is_good(parameters.get("valid", "")):
        raise SmscError(1)
    sender = parameters.get("sender", "")
    if sender and not _SENDER.fullmatch(sender):
        raise SmscError(6, message_id)
    try:
        phones = phone_list(parameters["phones"])
    except SmscError as error:
        raise SmscError(error.code, message_id) from None
    return Order(phones, text, message_id, sender, parameters.get("time", ""), parameters.get("valid", ""), cost)


def _time_is_good(time: str) -> bool:
    # DDMMYYhhmm, DD.MM.YY hh:mm, a range of hours h1-h2, 0 and a Unix time, or + and minutes.
    if time in ("", "0"):
        return True
    for pattern in ("%d%m%y%H%M", "%d.%m.%y %H:%M"):
        try:
            datetime.strptime(time, pattern)
        except ValueError:
            continue
        return True
    if window := re.fullmatch(r"(\d{1,2})-(\d{1,2})", time):
        return all(int(hour) <= 24 for hour in window.groups())
    return re.fullmatch(r"0\d{9,11}|\+\d{1,6}", time) is not None


def _valid_is_good(valid: str) -> bool:
    if valid in ("", "0"):
        return True
    match = _VALID.fullmatch(valid)
    if match is None:
        return False
    minutes = int(match[1]) * 60 + int(match[2] or 0)
    return 1 <= minutes <= 24 * 60 and int(match[2] or 0) < 60


def shown_id(message_id: str) -> int | str:
    """An id in a JSON answer: a number if it consists of digits."""
    return int(message_id) if message_id.isascii() and message_id.isdigit() else message_id


def answer(fmt: str, body: dict[str, Any] | list[dict[str, Any]], plain: str) -> Response:
    """The answer in the requested form: JSON for `fmt=3`, XML for `fmt=2`, else a line of text."""
    if fmt == "3":
        return Response(orjson.dumps(body), media_type="application/json;charset=utf-8")
    if fmt == "2":
        return Response(f"<result>{escape(plain)}</result>".encode(), media_type="application/xml")
    return Response(plain.encode(), media_type="text/plain;charset=utf-8")


def refusal(fmt: str, error: SmscError) -> Response:
    """An error in the requested form."""
    text = ERRORS.get(error.code, "error")
    body: dict[str, Any] = {"error": text, "error_code": error.code}
    if error.message_id:
        body["id"] = shown_id(error.message_id)
    plain = f"0,-{error.code}" if fmt == "1" else f"ERROR = {error.code} ({text})"
    return answer(fmt, body, plain)
