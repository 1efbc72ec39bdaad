"""`python -m tests.simulators.sms`: run the SMSC.ru simulator."""

from datetime import timedelta

from tests.simulators.kit.clock import SimClock
from tests.simulators.kit.rows import Rows
from tests.simulators.kit.serve import arguments, run
from tests.simulators.sms.app import Smsc


def main() -> None:
    """Parse the command line and serve."""
    parser = arguments("A strict stand-in for SMSC.ru (/rest/send/, /sys/*.php).", "tests.simulators.sms")
    parser.add_argument("--login", required=True, help="the customer's login")
    parser.add_argument("--password", required=True, help="the customer's password (parameter psw)")
    parser.add_argument("--api-key", default="", help="a key accepted in place of login and password (default: none)")
    parser.add_argument(
        "--dispatch-seconds",
        type=float,
        default=0.5,
        help="time until a message reaches the operator, status 0 (default: %(default)s)",
    )
    parser.add_argument(
        "--delivery-seconds",
        type=float,
        default=1.5,
        help="time from the operator until the delivery, status 1 (default: %(default)s)",
    )
    parser.add_argument("--callback-url", default="", help="URL for delivery reports (default: no reports)")
    parser.add_argument("--callback-secret", default="", help="the secret that signs the reports")
    given = parser.parse_args()
    rows = Rows(given.data, "sms.sqlite")
    app = Smsc(
        (given.login, given.password, given.api_key),
        rows,
        SimClock(),
        timedelta(seconds=given.dispatch_seconds),
        timedelta(seconds=given.delivery_seconds),
        (given.callback_url, given.callback_secret),
    )
    run(app, given.host, given.port)
    rows.close()


if __name__ == "__main__":
    main()
