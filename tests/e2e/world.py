"""The outside parties of a running system: a portal, 1C's users, a realtor's telephone, the clock."""

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
    """Somebody invented. `phone` is E.164."""

    full_name: str
    phone: str

    @property
    def plain(self) -> dict[str, str]:
        return {"full_name": self.full_name, "phone": self.phone}


def invent(rng: random.Random) -> Person:
    """A person with a Russian mobile number that nobody else gets by luck."""
    number = f"+791{rng.randrange(100_000_000):08d}"
    return Person(f"{rng.choice(_SURNAMES)} {rng.choice(_NAMES)}", number)


class World:
    """Speaks to one system through its endpoints (`.local/endpoints.json`)."""

    def __init__(self, endpoints: dict[str, Any]) -> None:
        self.endpoints = endpoints
        self._intake = httpx.AsyncClient(
            base_url=endpoints["intake"],
            headers={"Authorization": f"Bearer {endpoints['portal_key']}"},
            timeout=30,
            limits=httpx.Limits(max_connections=64),
        )
        self._outside = httpx.AsyncClient(timeout=30)

    async def close(self) -> None:
        await self._intake.aclose()
        await self._outside.aclose()

    async def register_partner(self, partner_id: str, person: Person) -> httpx.Response:
        return await self._intake.put(
            f"/v1/partners/{partner_id}",
            json={
                **person.plain,
                "agreement": {"number": f"A-{partner_id}", "signed_on": "2026-01-15"},
                "status": "active",
            },
        )

    async def submit(self, partner_id: str, client: Person, key: str | None = None) -> httpx.Response:
        """A lead over HTTP."""
        return await self._intake.post(
            "/v1/leads",
            headers={"Idempotency-Key": key or str(uuid.uuid4())},
            json={"partner_id": partner_id, "client": client.plain, "consent": _CONSENT},
        )

    async def ask(self, path: str, body: dict[str, Any]) -> httpx.Response:
        """What is asked about a lead later: `returns`, `leads/<id>/withdrawal`, `reward-claims`, …"""
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        return await self._intake.post(f"/v1/{path}", headers=headers, json=body)

    async def request(self, request_id: str) -> dict[str, Any]:
        """What has become of a request."""
        found: dict[str, Any] = (await self._intake.get(f"/v1/requests/{request_id}")).raise_for_status().json()
        return found

    async def until_answered(self, request_id: str) -> dict[str, Any]:
        async def look() -> dict[str, Any] | None:
            request = await self.request(request_id)
            return request if request["status"] != "pending" else None

        return await until(look, f"request {request_id} is answered")

    async def submit_on_topic(self, partner_id: str, client: Person, key: str) -> None:
        """A lead on the portal's own topic, sealed to intake's public key."""
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
        """The published JWK Set."""
        found: dict[str, Any] = (await self._intake.get("/.well-known/jwks.json")).raise_for_status().json()
        return found

    async def sealing_key(self) -> ECKey:
        return ECKey.import_key(next(key for key in (await self.keys())["keys"] if key["kty"] == "EC"))

    async def lead(self, lead_id: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self._intake.get(f"/v1/leads/{lead_id}")).raise_for_status().json()
        return found

    async def leads(self, partner_id: str) -> list[dict[str, Any]]:
        """All leads of a partner, every page of them."""
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
        """The lead, once it has one of the statuses."""

        async def look() -> dict[str, Any] | None:
            lead = await self.lead(lead_id)
            return lead if lead["status"] in statuses else None

        return await until(look, f"lead {lead_id} is {' or '.join(statuses)}")

    async def seed_direct_client(self, person: Person) -> None:
        """The sales office has had this client in 1C for long."""
        answer = await self._outside.post(
            f"{self.endpoints['onec']}/__sim/seed",
            json={"clients": [{**person.plain, "date": "2026-02-01T10:00:00+03:00"}]},
        )
        answer.raise_for_status()

    async def journal(self) -> list[dict[str, Any]]:
        return await self._simulated("onec", "journal")

    async def general_journal(self) -> list[dict[str, Any]]:
        return await self._simulated("onec", "general-journal")

    async def sms(self, phone: str) -> list[str]:
        """Texts on a telephone, in the order they came."""
        return [message["text"] for message in await self.messages() if message["to"] == phone]

    async def messages(self) -> list[dict[str, Any]]:
        """Every SMS that anybody got."""
        return await self._simulated("sms", "messages")

    async def until_sms(self, phone: str, count: int) -> list[str]:
        async def look() -> list[str] | None:
            texts = await self.sms(phone)
            return texts if len(texts) >= count else None

        return await until(look, f"{count} SMS arrived")

    async def _simulated(self, which: str, what: str) -> list[dict[str, Any]]:
        answer = await self._outside.get(f"{self.endpoints[which]}/__sim/{what}")
        found: list[dict[str, Any]] = answer.raise_for_status().json()
        return found


def advance_clock(folder: Path, duration: str) -> None:
    """Move business time, with the command an operator would use."""
    subprocess.run(
        [sys.executable, "-m", "chassis.clock", "--advance", duration],
        env={**os.environ, "ALLOW_CLOCK_SHIFT": "true", "CLOCK_FILE": str(folder / "clock.json")},
        check=True,
        stdout=subprocess.DEVNULL,
    )


_CONSENT = {"given_at": "2026-11-01T12:00:00+03:00", "advertising": False}
