"""The whole system on one machine, from wheels and jars alone: no Docker, no Java, no PostgreSQL, no root.

`python -m deploy.local run` is `make run`; tests start the same things through `LocalSystem`, `Kafka`
and `Postgres`, in a folder and on ports of their own.
"""

from deploy.local.errors import LocalError
from deploy.local.kafka import Kafka
from deploy.local.parts import Blueprint, Part, Plan
from deploy.local.ports import Ports, free_port
from deploy.local.postgres import Postgres
from deploy.local.system import LocalSystem

__all__ = [
    "Blueprint",
    "Kafka",
    "LocalError",
    "LocalSystem",
    "Part",
    "Plan",
    "Ports",
    "Postgres",
    "free_port",
]
