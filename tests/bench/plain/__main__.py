"""`python -m tests.bench.plain intake|onec_gateway|reservations|notifier`."""

import importlib
import sys

import uvloop

if __name__ == "__main__":
    # FastStream logs every message to standard output, which must contain the line `ready` only.
    sys.stdout = sys.stderr
    # As in `faststream run`. Only the requested service is imported, because each reads its settings at its import.
    uvloop.run(importlib.import_module(f"tests.bench.plain.{sys.argv[1]}").app.run())
