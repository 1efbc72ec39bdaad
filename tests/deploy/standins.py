"""A blueprint of stand-ins, to test the local system without the services."""

import sys
from pathlib import Path

from deploy.local.parts import Blueprint, Part, Plan
from deploy.local.ports import HOST

SCRIPT = str(Path(__file__).with_name("standin.py"))
KEY_COMMAND = (sys.executable, "-c", 'print(\'{"portal": "demo", "key": "stand-in-key"}\')')


def blueprint(journal: Path, behaviour: dict[str, str] | None = None, *, migrate: str = "pass") -> Blueprint:
    """1C, SMS, intake and notifier as stand-ins. `behaviour`: name → fault (see `standin.py`)."""

    def part(name: str, port: int) -> Part:
        how = (behaviour or {}).get(name)
        return Part(
            name,
            (sys.executable, SCRIPT, name, str(port), *([how] if how else [])),
            f"http://{HOST}:{port}/health",
            {"STANDIN_JOURNAL": str(journal)},
        )

    def simulators(plan: Plan) -> list[Part]:
        return [part("onec", plan.ports.onec), part("sms", plan.ports.sms)]

    def services(plan: Plan) -> list[Part]:
        return [part(name, plan.admin(name)) for name in ("intake", "notifier")]

    return Blueprint(simulators, services, (sys.executable, "-c", migrate), KEY_COMMAND)
