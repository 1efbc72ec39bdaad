"""A body over 64 KiB is refused with 413, with or without a Content-Length, before the application reads it."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.intake.http.fast_path import FastPath
from services.intake.http.problems import Problem, problem_response

MAX_BODY_BYTES = 64 * 1024
MAX_READ_BYTES = 1024 * 1024


def limit_body(app: ASGIApp, fast_path: FastPath | None = None) -> ASGIApp:
    """`app` behind the limit. With a fast path, `app` gets only the requests that the fast path leaves to it."""

    async def limited(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        body = None if not length.isdigit() or int(length) > MAX_BODY_BYTES else await _read(receive)
        if body is None:
            await problem_response(Problem(413, "too-large"))(scope, receive, send)
        elif fast_path is not None and (response := await fast_path.respond(scope, body)) is not None:
            await response(scope, receive, send)
        else:
            await app(scope, _replay(body, receive), send)

    return limited


async def _read(receive: Receive) -> bytes | None:
    """The whole body, or None if it is over the limit.

    Up to 1 MiB of a large body is read, because a client that is still sending would not read the response.
    """
    body, size, more = bytearray(), 0, True
    while more and size <= MAX_READ_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        part, more = message.get("body", b""), message.get("more_body", False)
        size += len(part)
        if size <= MAX_BODY_BYTES:
            body += part
    return bytes(body) if size <= MAX_BODY_BYTES else None


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that returns the body that was read already, and then the messages of `receive`."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay
