"""`python -m tests.simulators.onec`: run the 1C simulator."""

import argparse
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tests.simulators.kit.clock import SimClock
from tests.simulators.kit.rows import Rows
from tests.simulators.kit.serve import arguments, run
from tests.simulators.onec.app import OneC


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise argparse.ArgumentTypeError(f"unknown time zone {name!r}") from None


def main() -> None:
    """Parse the command line and serve."""
    parser = arguments("A strict stand-in for a 1C:CRM infobase (OData v3 under /crm).", "tests.simulators.onec")
    parser.add_argument("--user", required=True, help="the infobase user that clients must use (Basic, UTF-8)")
    parser.add_argument("--password", required=True, help="the user's password")
    parser.add_argument(
        "--time-zone",
        type=_zone,
        default="Europe/Moscow",
        metavar="ZONE",
        help="time zone of the infobase's dates, which have no offset (default: %(default)s)",
    )
    given = parser.parse_args()
    rows = Rows(given.data, "onec.sqlite")
    run(OneC(given.user, given.password, given.time_zone, rows, SimClock()), given.host, given.port)
    rows.close()


if __name__ == "__main__":
    main()
