"""Renders answers in the form that a request names: JSON with or without metadata, or Atom."""

from typing import Any
from urllib.parse import parse_qs

import orjson
from starlette.requests import Request
from starlette.responses import Response

from tests.simulators.onec import atom
from tests.simulators.onec.config import SETS
from tests.simulators.onec.query import JSON_FORMATS
from tests.simulators.onec.values import Row

XML = "application/xml;charset=utf-8"
_ATOM = "application/atom+xml;charset=utf-8"


def wants_json(request: Request) -> bool:
    """Whether the answer is JSON, by `$format` or else by the header `accept`."""
    # Parsed separately from the other options, since errors in these are answered in the same form.
    chosen = parse_qs(request.scope["query_string"].decode("latin-1")).get("$format")
    if chosen:
        return chosen[0].partition(";")[0] in JSON_FORMATS
    # `*/*`, which most clients send by default, does not request JSON.
    return "application/json" in request.headers.get("accept", "")


class Renderer:
    """Renders the answers to one request. `root` is the service's URL, `bare` leaves `odata.metadata` out."""

    def __init__(self, root: str, *, as_json: bool, bare: bool) -> None:
        self._root = root
        self._as_json = as_json
        self._bare = bare

    def service(self) -> Response:
        """The list of sets."""
        if not self._as_json:
            return Response(atom.service(SETS), media_type=XML)
        return self._json("", {"value": [{"name": name, "url": name} for name in SETS]}, 200)

    def collection(self, name: str, rows: list[Row], count: int | None) -> Response:
        """Several objects of a set. The count is a string, as in 1C."""
        if not self._as_json:
            return Response(atom.feed(rows), media_type=_ATOM)
        counted = {} if count is None else {"odata.count": str(count)}
        return self._json(f"#{name}", {**counted, "value": rows}, 200)

    def element(self, name: str, row: Row, status: int = 200) -> Response:
        """One object of a set."""
        if not self._as_json:
            return Response(atom.entry(row), status, media_type=_ATOM)
        return self._json(f"#{name}/@Element", row, status)

    def created(self, name: str, row: Row) -> Response:
        """A new object and its address, which 1C writes in raw UTF-8."""
        response = self.element(name, row, 201)
        address = f"{self._root}/{name}(guid'{row['Ref_Key']}')"
        response.raw_headers.append((b"location", address.encode()))
        return response

    def _json(self, context: str, body: dict[str, Any], status: int) -> Response:
        if not self._bare:
            body = {"odata.metadata": f"{self._root}/$metadata{context}", **body}
        level = "nometadata" if self._bare else "minimalmetadata"
        return Response(orjson.dumps(body), status, media_type=f"application/json;odata={level};charset=utf-8")
