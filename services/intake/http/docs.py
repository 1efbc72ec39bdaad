"""`/docs`: Swagger UI from files of this package, so that the page works without internet."""

import hashlib
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import FileResponse, HTMLResponse

from services.intake.http.problems import Problem

FILES: Final = Path(__file__).parent / "static" / "swagger-ui"
MEDIA_TYPES: Final = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "favicon-32x32.png": "image/png",
}
# The page may load from this host only. Swagger UI sets inline styles, and the page starts it with an inline script.
_CONTENT_POLICY: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
)


def add_docs_routes(app: FastAPI) -> None:
    """Add the page `/docs` and its files under `/docs/`. The page revalidates; the files are cached for a year."""
    urls = {name: f"/docs/{name}?v={_version(FILES / name)}" for name in MEDIA_TYPES}
    page = get_swagger_ui_html(
        openapi_url="/openapi.json",
        title=f"{app.title}: HTTP API",
        swagger_js_url=urls["swagger-ui-bundle.js"],
        swagger_css_url=urls["swagger-ui.css"],
        swagger_favicon_url=urls["favicon-32x32.png"],
        swagger_ui_parameters={"validatorUrl": None},  # by default Swagger UI sends the document to a validator
    )
    html = bytes(page.body)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        headers = {"Cache-Control": "no-cache", "Content-Security-Policy": _CONTENT_POLICY}
        return HTMLResponse(html, headers=headers)

    @app.get("/docs/{name}", include_in_schema=False)
    async def docs_file(name: str) -> FileResponse:
        if name not in MEDIA_TYPES:
            raise Problem(404, "not-found")
        # The version is part of the URL, so a cached file never goes stale.
        headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
        return FileResponse(FILES / name, media_type=MEDIA_TYPES[name], headers=headers)


def _version(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]
