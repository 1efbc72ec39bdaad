"""The way to the infobase: the web server's limits, sessions, and the licences that sessions take."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

IIS_QUERY = 2048
APACHE_LINE = 8190
PROFILES = ("none", "iis", "apache")
_COOKIE = "ibsession"
_IIS_PAGE = (
    "<!DOCTYPE html><html><head><title>IIS 404.15</title></head><body><h1>HTTP Error 404.15 - Not Found</h1>"
    "<p>The request filtering module denies a query string that is too long.</p></body></html>"
)
_APACHE_PAGE = "<html><head><title>414</title></head><body><h1>Request-URI Too Long</h1></body></html>"


@dataclass(slots=True)
class Access:
    """The limits of the way to the infobase, and the open sessions.

    `profile` is the web server that publishes the base. At most `licences` sessions exist (None: no limit).

    A session ends after `session_s` idle seconds. With `keeps_sessions` off, the base gives no sessions. With
    `strict_412`, a write with a stale `If-Match` is refused.
    """

    profile: str = "none"
    licences: int | None = None
    session_s: float = 1200.0
    keeps_sessions: bool = True
    strict_412: bool = False
    sessions: dict[str, float] = field(default_factory=dict)
    most_sessions: int = 0

    def configure(self, body: dict[str, object]) -> None:
        """Apply the body of a `/__sim/access` call. Raises ValueError for an unknown profile."""
        if (profile := str(body.get("profile", self.profile))) not in PROFILES:
            raise ValueError(f"unknown profile {profile!r}; known: {', '.join(PROFILES)}")
        self.profile = profile
        if "licences" in body:
            self.licences = None if body["licences"] is None else int(str(body["licences"]))
        self.session_s = float(str(body.get("session_s", self.session_s)))
        self.keeps_sessions = bool(body.get("keeps_sessions", self.keeps_sessions))
        self.strict_412 = bool(body.get("strict_412", self.strict_412))

    def too_long(self, request: Request) -> Response | None:
        """The web server's answer to an address that is too long, or None. The request does not reach 1C."""
        query = request.scope["query_string"]
        if self.profile == "iis" and len(query) > IIS_QUERY:
            return Response(_IIS_PAGE, 404, media_type="text/html")
        path = request.scope.get("raw_path") or quote(request.scope["path"]).encode()
        line = len(f"{request.method} ? HTTP/1.1") + len(path) + len(query)
        if self.profile == "apache" and line > APACHE_LINE:
            return Response(_APACHE_PAGE, 414, media_type="text/html")
        return None

    def admit(
        self, request: Request, now: float, session_over: Callable[[], Response], no_licence: Callable[[bool], Response]
    ) -> tuple[Response | None, str | None]:
        """An error answer or None, and the key of the session that the request starts, or None."""
        self.sessions = {key: seen for key, seen in self.sessions.items() if now - seen <= self.session_s}
        command = request.headers.get("ibsession", "").lower()
        cookie = request.cookies.get(_COOKIE)
        if cookie is not None and self.keeps_sessions:
            if cookie not in self.sessions:
                return session_over(), None
            if command == "finish":
                del self.sessions[cookie]
                return None, None
            self.sessions[cookie] = now
            return None, None
        if self.licences is not None and len(self.sessions) >= self.licences:
            return no_licence(bool(command)), None
        if command != "start" or not self.keeps_sessions:
            return None, None
        key = str(uuid.uuid4())
        self.sessions[key] = now
        self.most_sessions = max(self.most_sessions, len(self.sessions))
        return None, key

    def as_json(self) -> dict[str, object]:
        return {
            "profile": self.profile,
            "licences": self.licences,
            "strict_412": self.strict_412,
            "sessions": len(self.sessions),
            "most_sessions": self.most_sessions,
        }
