"""The HTTP application: routes by resource, errors as problems, the body limit and the fast path in front."""

from fastapi import FastAPI
from starlette.types import ASGIApp

from chassis.service import Runtime
from services.intake.decoding import RequestDecoder
from services.intake.http.access import Keyring
from services.intake.http.body_limit import limit_body
from services.intake.http.docs import add_docs_routes
from services.intake.http.fast_path import FastPath, SubmitRoute
from services.intake.http.jwks import add_key_routes
from services.intake.http.lead_requests import add_lead_request_routes, add_request_routes
from services.intake.http.leads import add_lead_routes
from services.intake.http.partners import add_partner_routes
from services.intake.http.problems import OPENAPI_RESPONSES, install
from services.intake.receipts import ReceiptWriter
from services.intake.settings import Settings


def application(runtime: Runtime, settings: Settings, decoder: RequestDecoder) -> ASGIApp:
    """The application that a service serves."""
    api, submit_lead = build_api(runtime, settings, decoder)
    return limit_body(api, FastPath(api.state.keyring, submit_lead))


def build_api(runtime: Runtime, settings: Settings, decoder: RequestDecoder) -> tuple[FastAPI, SubmitRoute]:
    """The FastAPI application with all routes, and the handler of `POST /v1/leads`."""
    app = FastAPI(
        title="Truce intake",
        version="1",
        description="Фиксация клиентов партнёрами застройщика",
        openapi_url="/openapi.json",
        docs_url=None,  # FastAPI's own pages load their scripts from the internet
        redoc_url=None,
        responses=OPENAPI_RESPONSES,
    )
    app.state.keyring = Keyring(runtime.database)
    install(app)
    add_partner_routes(app, runtime, decoder)
    submit_lead = add_lead_routes(app, runtime, decoder, ReceiptWriter(settings.receipt_jwk, settings.secret))
    add_request_routes(app, runtime)
    add_lead_request_routes(app, runtime, decoder)
    add_key_routes(app, settings)
    add_docs_routes(app)
    return app, submit_lead
