"""Migrates the databases of several services in one process: `python -m deploy.local.migrate intake notifier`.

The same as `python -m services.<name> migrate` for each, without importing each service: four processes that load
a web framework to run one SQL script would cost each start of the local system five seconds of CPU.
"""

import os
import sys

from chassis import migrations
from deploy.local.parts import PREFIXES, ROOT

if __name__ == "__main__":
    for name in sys.argv[1:]:
        migrations.upgrade(os.environ[f"{PREFIXES[name]}DATABASE_URL"], ROOT / "services" / name / "migrations")
