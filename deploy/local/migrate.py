"""Migrates the databases of several services in one process: `python -m deploy.local.migrate intake notifier`.

The effect is that of `python -m services.<name> migrate` for each service. One process that imports no service saves
five seconds of processor time at every start of the local system.
"""

import os
import sys

from chassis import migrations
from deploy.local.parts import PREFIXES, ROOT

if __name__ == "__main__":
    for name in sys.argv[1:]:
        migrations.upgrade(os.environ[f"{PREFIXES[name]}DATABASE_URL"], ROOT / "services" / name / "migrations")
