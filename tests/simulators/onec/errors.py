"""1C's errors: internal codes, Russian texts, and their two forms in an answer, JSON and XML."""

from xml.sax.saxutils import escape

import orjson
from starlette.responses import Response

UNSUPPORTED = "0"
PARSE = "1"
BAD_REQUEST = "2"
BAD_VALUE = "4"
MISSING_VALUE = "5"
BAD_URL = "6"
MISSING_KEY = "7"
UNKNOWN_SET = "8"
NOT_FOUND = "9"
UNKNOWN_METHOD = "11"
TABULAR_ROW = "13"
OPTION = "14"
EXISTS = "15"
HTTP_METHOD = "19"
RIGHTS = "20"
FUNCTION = "21"
PRECONDITION = "10"
FAILURE = "-1"


class OneCError(Exception):
    """An error answer of 1C: the HTTP status, 1C's code and its text."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.text = text

    def response(self, as_json: bool) -> Response:
        """The error as an HTTP answer, in JSON or XML."""
        if as_json:
            body = orjson.dumps({"odata.error": {"code": self.code, "message": {"lang": "ru", "value": self.text}}})
            return Response(body, self.status, media_type="application/json;charset=utf-8")
        xml = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<m:error xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata">'
            f"<m:code>{self.code}</m:code><m:message>{escape(self.text)}</m:message></m:error>"
        )
        return Response(xml.encode(), self.status, media_type="application/xml;charset=utf-8")


def cannot_parse(text: str, kind: str) -> OneCError:
    """Code 1: a literal or a JSON value has the wrong type."""
    return OneCError(400, PARSE, f"Не удалось разобрать строку '{text}' как значение типа {kind}!")


def bad_option(option: str, why: str) -> OneCError:
    """Code 14: a query option that 1C cannot parse."""
    return OneCError(400, OPTION, f"Ошибка разбора опции запроса {option}: {why}")


def unlimited_comparison() -> OneCError:
    """Code -1: a comparison with a string of unlimited length, which 1C's query language does not allow."""
    return OneCError(500, FAILURE, "Нельзя сравнивать поля неограниченной длины и поля несовместимых типов.")
