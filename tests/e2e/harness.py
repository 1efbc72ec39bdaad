"""Drives a running system through its public interfaces: portal API and topic, 1C, SMS provider, clock."""

import json
import os
import random
import subprocess
import sys
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaProducer
from joserfc.jwk import ECKey

from contracts.sealing import encrypt_to
from tests.process import until

_SURNAMES = ("Ветлугин", "Заречная", "Костромин", "Белозёрова", "Тверской", "Онежская", "Суздалев", "Ладожская")
_NAMES = ("Пётр", "Анна", "Глеб", "Вера", "Тимофей", "Лидия", "Семён", "Раиса")


@dataclass(frozen=True, slots=True)
class Person:
    """An invented person. `phone` is E.164."""

    full_name: str
    phone: str

    @property
    def plain(self) -> dict[str, str]:
        """The person as a plain `client` in a request body."""
        return {"full_name": self.full_name, "phone": self.phone}


def invent(rng: random.Random) -> Person:
    """A random person with a random Russian mobile number, one of a hundred million."""
    number = f"+791{rng.randrange(100_000_000):08d}"
    return Person(f"{rng.choice(_SURNAMES)} {rng.choice(_NAMES)}", number)


class SystemHarness:
    """Drives one running system through its endpoints (the content of `.local/endpoints.json`).

    It acts as the portal `demo`, and reads what the simulators of 1C and of the SMS provider got. Waiting methods fail
    the test after `tests.process.DEADLINE_S` seconds.
    """

    def __init__(self, endpoints: dict[str, Any]) -> None:
        self.endpoints = endpoints
        self._intake = httpx.AsyncClient(
            base_url=endpoints["intake"],
            headers={"Authorization": f"Bearer {endpoints['portal_key']}"},
            timeout=30,
            limits=httpx.Limits(max_connections=64),
            trust_env=False,
        )
        self._simulators = httpx.AsyncClient(timeout=30, trust_env=False)

    async def close(self) -> None:
        """Close the HTTP connections."""
        await self._intake.aclose()
        await self._simulators.aclose()

    async def register_partner(self, partner_id: str, person: Person) -> httpx.Response:
        """Register an active partner whose realtor is `person`."""
        return await self._intake.put(
            f"/v1/partners/{partner_id}",
            json={
                **person.plain,
                "agreement": {"number": f"A-{partner_id}", "signed_on": "2026-01-15"},
                "status": "active",
            },
        )

    async def submit(self, partner_id: str, client: Person, key: str | None = None) -> httpx.Response:
        """Submit a lead over HTTP. `key` is the idempotency key; without it, a new one is generated."""
        return await self._intake.post(
            "/v1/leads",
            headers={"Idempotency-Key": key or str(uuid.uuid4())},
            json={"partner_id": partner_id, "client": client.plain, "consent": _CONSENT},
        )

    async def post_request(self, path: str, body: dict[str, Any]) -> httpx.Response:
        """POST a request about an earlier lead to `/v1/<path>`, for example `returns` or `leads/<id>/withdrawal`."""
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        return await self._intake.post(f"/v1/{path}", headers=headers, json=body)

    async def request(self, request_id: str) -> dict[str, Any]:
        """The request's status, reason and result as the portal sees them."""
        found: dict[str, Any] = (await self._intake.get(f"/v1/requests/{request_id}")).raise_for_status().json()
        return found

    async def until_request_done(self, request_id: str) -> dict[str, Any]:
        """Wait until the request is done or refused, and return it."""

        async def look() -> dict[str, Any] | None:
            request = await self.request(request_id)
            return request if request["status"] != "pending" else None

        return await until(look, f"request {request_id} is done or refused")

    async def submit_on_topic(self, partner_id: str, client: Person, key: str) -> None:
        """Publish a lead on the portal's topic, the client sealed to intake's public key. `key` is the `ce_id`."""
        sealed = encrypt_to(await self.sealing_key(), json.dumps(client.plain).encode())
        producer = AIOKafkaProducer(bootstrap_servers=self.endpoints["kafka"])
        await producer.start()
        try:
            await producer.send_and_wait(
                f"portal-requests.{self.endpoints['portal']}",
                json.dumps({"partner_id": partner_id, "client": sealed, "consent": _CONSENT}).encode(),
                headers=[
                    ("ce_specversion", b"1.0"),
                    ("ce_id", key.encode()),
                    ("ce_type", b"submit-lead.v1"),
                    ("ce_source", b"/portals/demo"),
                    ("ce_time", datetime.now(UTC).isoformat().encode()),
                ],
            )
        finally:
            await producer.stop()

    async def keys(self) -> dict[str, Any]:
        """The JWK Set that intake publishes."""
        found: dict[str, Any] = (await self._intake.get("/.well-known/jwks.json")).raise_for_status().json()
        return found

    async def sealing_key(self) -> ECKey:
        """Intake's published key for sealing clients."""
        return ECKey.import_key(next(key for key in (await self.keys())["keys"] if key["kty"] == "EC"))

    async def lead(self, lead_id: str) -> dict[str, Any]:
        """The lead as the portal sees it."""
        found: dict[str, Any] = (await self._intake.get(f"/v1/leads/{lead_id}")).raise_for_status().json()
        return found

    async def leads(self, partner_id: str) -> list[dict[str, Any]]:
        """All leads of a partner, from every page of the list."""
        items: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            query = {"partner_id": partner_id, "limit": "100", **({"cursor": cursor} if cursor else {})}
            page = (await self._intake.get("/v1/leads", params=query)).raise_for_status().json()
            items.extend(page["items"])
            cursor = page["next_cursor"]
            if cursor is None:
                return items

    async def until_status(self, lead_id: str, *statuses: str) -> dict[str, Any]:
        """Wait until the lead has one of the statuses, and return it."""

        async def look() -> dict[str, Any] | None:
            lead = await self.lead(lead_id)
            return lead if lead["status"] in statuses else None

        return await until(look, f"lead {lead_id} is {' or '.join(statuses)}")

    async def seed_direct_client(self, person: Person) -> None:
        """Make a client in 1C with an enquiry of the sales office, dated 2026-02-01."""
        response = await self._simulators.post(
            f"{self.endpoints['onec']}/__sim/seed",
            json={"clients": [{**person.plain, "date": "2026-02-01T10:00:00+03:00"}]},
        )
        response.raise_for_status()

    async def journal(self) -> list[dict[str, Any]]:
        """The entries of 1C's partner journal."""
        return await self._simulated("onec", "journal")

    async def general_journal(self) -> list[dict[str, Any]]:
        """The entries of 1C's general journal of enquiries."""
        return await self._simulated("onec", "general-journal")

    async def sms(self, phone: str) -> list[str]:
        """The texts of all SMS to `phone`, in the order of arrival."""
        return [message["text"] for message in await self.messages() if message["to"] == phone]

    async def messages(self) -> list[dict[str, Any]]:
        """Every SMS that the provider delivered: `to`, `text`, `id`, `at`, `segments`."""
        return await self._simulated("sms", "messages")

    async def until_sms(self, phone: str, count: int) -> list[str]:
        """Wait until `phone` has at least `count` SMS, and return their texts."""

        async def look() -> list[str] | None:
            texts = await self.sms(phone)
            return texts if len(texts) >= count else None

        return await until(look, f"the phone has {count} SMS")

    async def onec_calls(self) -> list[dict[str, Any]]:
        """Every request that 1C got."""
        return await self._simulated("onec", "calls")

    async def _simulated(self, simulator: str, path: str) -> list[dict[str, Any]]:
        response = await self._simulators.get(f"{self.endpoints[simulator]}/__sim/{path}")
        found: list[dict[str, Any]] = response.raise_for_status().json()
        return found


def advance_clock(folder: Path, duration: str) -> None:
    """Move business time of the system in `folder` by an ISO 8601 duration, with the operators' command."""
    subprocess.run(
        [sys.executable, "-m", "chassis.clock", "--advance", duration],
        env={**os.environ, "ALLOW_CLOCK_SHIFT": "true", "CLOCK_FILE": str(folder / "clock.json")},
        check=True,
        stdout=subprocess.DEVNULL,
    )


_CONSENT = {"given_at": "2026-11-01T12:00:00+03:00", "advertising": False}
