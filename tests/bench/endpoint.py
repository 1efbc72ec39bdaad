"""The plain endpoint: FastAPI and SQLModel as in their tutorials. Each request inserts and commits one row.

Run by uvicorn: `DATABASE_URL=… uvicorn tests.bench.endpoint:app`.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import Depends, FastAPI, Header
from pydantic import BaseModel
from sqlalchemy import DateTime
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import Field, SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

engine = create_async_engine(os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://"), pool_size=32)


class Client(BaseModel):
    full_name: str
    phone: str


class Consent(BaseModel):
    given_at: datetime
    advertising: bool


class LeadIn(BaseModel):
    partner_id: str
    client: Client
    consent: Consent


class PlainLead(SQLModel, table=True):
    __tablename__ = "plain_leads"

    lead_id: UUID = Field(default_factory=uuid4, primary_key=True)
    request_key: str
    partner_id: str
    full_name: str
    phone: str
    received_at: datetime = Field(default_factory=lambda: datetime.now(UTC), sa_type=DateTime(timezone=True))


async def session() -> AsyncIterator[AsyncSession]:
    async with AsyncSession(engine, expire_on_commit=False) as opened:
        yield opened


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all, tables=[SQLModel.metadata.tables["plain_leads"]])
    yield


app = FastAPI(lifespan=lifespan)


@app.post("/v1/leads", status_code=202)
async def submit(
    body: LeadIn,
    session: Annotated[AsyncSession, Depends(session)],
    idempotency_key: Annotated[str, Header()],
) -> dict[str, str]:
    lead = PlainLead(
        request_key=idempotency_key,
        partner_id=body.partner_id,
        full_name=body.client.full_name,
        phone=body.client.phone,
    )
    session.add(lead)
    await session.commit()
    return {"lead_id": str(lead.lead_id), "status": "under-review"}
