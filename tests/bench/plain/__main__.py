"""`python -m tests.bench.plain intake|onec_gateway|reservations|notifier`."""

import importlib
import sys

import uvloop

if __name__ == "__main__":
    # FastStream logs every message to standard output, where whoever started us waits for the one line `ready`.
    sys.stdout = sys.stderr
    # As `faststream run` does it. Only the service asked for is imported: each reads its settings when imported.
    uvloop.run(importlib.import_module(f"tests.bench.plain.{sys.argv[1]}").app.run())
