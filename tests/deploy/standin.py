"""A stand-in for a simulator or service: answers its health check, and misbehaves as told.

`python standin.py PORT [never-ready | exit | die-after-ready]`. Writes a line when it stops, so that the order
of a stop can be read from a file (`STANDIN_JOURNAL`).
"""

import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType


def main() -> None:
    """Serve until told to stop."""
    name, port, behaviour = sys.argv[1], int(sys.argv[2]), (sys.argv[3:] or [""])[0]
    journal = Path(os.environ["STANDIN_JOURNAL"])

    def note(what: str) -> None:
        with journal.open("a") as file:
            file.write(f"{what} {name}\n")

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503 if behaviour == "never-ready" else 200)
            self.end_headers()

        def log_request(self, *_: object) -> None:
            """Not a line a request."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        note("stop")
        threading.Thread(target=server.shutdown).start()

    if behaviour == "exit":
        print("cannot go on: the moon is in the wrong phase", flush=True)
        sys.exit(3)
    server = ThreadingHTTPServer(("127.0.0.1", port), Health)
    signal.signal(signal.SIGTERM, stop)
    note("start")
    print(f"{name} listens on {port}", flush=True)
    server.serve_forever(poll_interval=0.05)
    time.sleep(0.1)
    note("stopped")


if __name__ == "__main__":
    main()
