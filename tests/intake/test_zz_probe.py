import asyncio, json
import httpx, pytest
from aiokafka import AIOKafkaProducer
from tests.intake.conftest import Portal
pytestmark = [pytest.mark.infra, pytest.mark.plain_clients]
C={"given_at": "2026-11-01T12:00:00Z"}
async def raw(portal, ce_id: bytes, body, extra=(), kind=b"submit-lead.v1"):
    p=AIOKafkaProducer(bootstrap_servers=portal.bootstrap, max_request_size=2_000_000); await p.start()
    await p.send_and_wait("portal-requests.demo", json.dumps(body).encode(), headers=[("ce_id",ce_id),("ce_type",kind),*extra]); await p.stop()
async def test_probe(portal: Portal) -> None:
    await portal.register()
    print("agreement NUL", (r:=await portal.register("nul", agreement={"number":"A\0", "signed_on":"2026-01-01"})).status_code, r.text[:200])
    async def chunks():
        yield b'{"partner_id":"anna","note":"'
        for _ in range(80): yield b"x"*1024
        yield b'"}'
    try:
        r=await portal.http.post("/v1/leads",content=chunks(),headers={"Idempotency-Key":"c","Content-Type":"application/json"})
        print("chunked", r.status_code, r.text[:200])
    except Exception as e: print("chunked EXC", repr(e))
    for raw_body in (b'{"partner_id":"anna","client":{"full_name":"\\ud800 a","phone":"+79165550123"},"consent":{"given_at":"2026-11-01T12:00:00Z"}}', b"["*60000, b"\xff\xfe", b"", b"null"):
        r=await portal.http.post("/v1/leads",content=raw_body,headers={"Idempotency-Key":"s","Content-Type":"application/json"})
        print("raw", raw_body[:10], r.status_code, r.text[:250])
    r=await portal.http.get("/v1/leads?cursor=999999999999999999&limit=0"); print("limit", r.status_code, r.text[:300])
    r=await portal.http.get("/v1/leads?partner_id=%00"); print("nulq", r.status_code, r.text[:200])
    r=await portal.http.get("/openapi.json"); print(r.json()["openapi"], list(r.json()["paths"]["/v1/leads"]["post"]["responses"])); print((await portal.http.get("/docs")).status_code)
    lead={"partner_id":"anna","client":{"full_name":"Ветлугин Пётр","phone":"+79165550123"},"consent":C}
    bad={**lead,"client":{"full_name":"Ветлугин","phone":"1"}}
    which=__import__("os").environ["PROBE"]
    if which=="nulgood": await raw(portal,b"a\0b",lead)
    if which=="nulbad": await raw(portal,b"a\0b",bad)
    if which=="corr": await raw(portal,b"corr",lead,[("ce_correlationid",b"x"*700_000)])
    if which=="agr": await raw(portal,b"agr",{"partner_id":"boris","full_name":"Б В","phone":"+79165550124","agreement":{"number":"\0","signed_on":"2026-01-01"}},kind=b"register-partner.v1")
    await asyncio.sleep(1)
    # does a following good request get through?
    await portal.send("after", lead)
    for _ in range(80):
        items=(await portal.http.get("/v1/leads")).json()["items"]
        if items: break
        await asyncio.sleep(.1)
    print(which,"AFTER: leads", len(items), "poll", portal.intake.process.poll())
    await asyncio.sleep(3)
    h=httpx.AsyncClient(trust_env=False); print("ready", (await h.get(portal.intake.admin+"/health/ready")).text)
    out=[l for l in portal.intake.log.read_text().splitlines() if any(x in l for x in ("cannot","waits","fail","unread","critical"))]
    print("\n".join(l[:260] for l in out[:8]))
