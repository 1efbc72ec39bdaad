"""`python -m tests.bench.floor intake|onec_gateway|reservations|notifier`."""

import sys

import uvloop

from tests.bench.floor import intake, notifier, onec_gateway, reservations
from tests.bench.floor.runtime import serve

SERVICES = {
    "intake": intake.build,
    "onec_gateway": onec_gateway.build,
    "reservations": reservations.build,
    "notifier": notifier.build,
}

if __name__ == "__main__":
    uvloop.run(serve(*SERVICES[sys.argv[1]]()))
