"""What `make run` prepares for a newcomer: a registered partner, and a curl command that submits a lead."""

import json
import random
import shlex
import uuid
from datetime import UTC, datetime, timedelta

import httpx
import phonenumbers

from deploy.local.errors import LocalError

PARTNER = "demo-partner"
FAMILIES = ("Иванов", "Кузнецов", "Соколов", "Лебедев", "Новиков", "Морозов", "Волков", "Зайцев", "Воробьёв")
GIVEN = (
    "Пётр Сергеевич",
    "Алексей Иванович",
    "Семён Андреевич",
    "Фёдор Ильич",
    "Артём Олегович",
    "Лев Маркович",
)


def register_partner(intake: str, key: str) -> None:
    """Register the demonstration partner with intake; repeating it does no harm. Raises LocalError if intake refuses.

    `intake` is the base URL, `key` the key of the demonstration portal.
    """
    body = {
        "full_name": "Смирнова Ольга Павловна",
        "phone": "+79161234567",
        "agreement": {"number": "ДЕМО-1", "signed_on": "2026-01-15"},
        "status": "active",
    }
    try:
        answer = httpx.put(
            f"{intake}/v1/partners/{PARTNER}",
            json=body,
            headers={"Authorization": f"Bearer {key}"},
            timeout=10,
            trust_env=False,
        )
    except httpx.HTTPError as error:
        raise LocalError(f"{PARTNER} could not be registered with intake: {type(error).__name__}") from error
    if answer.status_code not in (200, 201):
        # The body is not shown: it can repeat personal data of the request.
        raise LocalError(f"{PARTNER} could not be registered with intake: HTTP {answer.status_code}")


def curl_line(intake: str, key: str) -> str:
    """A shell command that submits a lead of a random new client to intake at the base URL `intake`."""
    body = {
        "partner_id": PARTNER,
        "client": {"full_name": f"{random.choice(FAMILIES)} {random.choice(GIVEN)}", "phone": mobile()},
        "consent": {
            "given_at": (datetime.now(UTC) - timedelta(minutes=5)).isoformat(timespec="seconds"),
            "advertising": False,
        },
    }
    command = ["curl", "-sS", "-X", "POST", f"{intake}/v1/leads"]
    for header in (f"Authorization: Bearer {key}", f"Idempotency-Key: {uuid.uuid4()}"):
        command += ["-H", header]
    command += ["-H", "Content-Type: application/json", "-d", json.dumps(body, ensure_ascii=False)]
    return shlex.join(command)


def mobile() -> str:
    """A random valid Russian mobile number, E.164."""
    while True:
        number = f"+79{random.randrange(10**9):09}"
        if phonenumbers.is_valid_number(phonenumbers.parse(number)):
            return number
