"""A stand-in for a simulator or a service: a process with a health check, and on request with a fault.

`python standin.py NAME PORT [never-ready | exit]`. It writes a line to the file `STANDIN_JOURNAL` when it starts and
when it stops, so that a test can read the order.
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
    """Serve health checks until SIGTERM."""
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
            """Print no line for a request."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        note("stop")
        threading.Thread(target=server.shutdown).start()

    if behaviour == "exit":
        print("the stand-in exits as requested", flush=True)
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
