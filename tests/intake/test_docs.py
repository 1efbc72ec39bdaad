"""`/docs` works without internet: the page and its files come from intake alone."""

import hashlib
import re

import pytest

from services.intake.http.docs import FILES, MEDIA_TYPES
from tests.intake.in_process import NO_DATABASE, serving


async def test_page_refers_to_no_other_host() -> None:
    async with serving(NO_DATABASE) as (http, _):
        page = await http.get("/docs")

    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "//" not in page.text
    assert '"/openapi.json"' in page.text.replace("'", '"')
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self';")
    assert not re.search(r"https?:|\*", policy)


async def test_every_file_of_the_page_is_served_with_its_type_and_cached_for_a_year() -> None:
    async with serving(NO_DATABASE) as (http, _):
        page = await http.get("/docs")
        urls = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        files = {url: await http.get(url) for url in urls}

    assert {url.partition("?")[0].rpartition("/")[2] for url in urls} == MEDIA_TYPES.keys()
    for url, file in files.items():
        name = url.partition("?")[0].rpartition("/")[2]
        assert (file.status_code, file.headers["Content-Type"]) == (200, MEDIA_TYPES[name])
        assert file.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert file.content == (FILES / name).read_bytes()
        assert url.endswith(f"?v={hashlib.sha256(file.content).hexdigest()[:12]}")


@pytest.mark.parametrize("name", ["SHA256SUMS", "nothing.js", "..%2Fdocs.py", "%2e%2e%2fdocs.py"])
async def test_only_files_of_the_page_are_served(name: str) -> None:
    async with serving(NO_DATABASE) as (http, _):
        answer = await http.get(f"/docs/{name}")

    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


async def test_pages_of_fastapi_that_load_from_the_internet_are_off() -> None:
    async with serving(NO_DATABASE) as (http, _):
        statuses = [(await http.get(path)).status_code for path in ("/redoc", "/docs/oauth2-redirect")]

    assert statuses == [404, 404]


def test_files_of_swagger_ui_are_those_that_were_published() -> None:
    lines = [line.split() for line in (FILES / "SHA256SUMS").read_text().splitlines()]
    sums = {name: checksum for checksum, name in lines}

    assert sums.keys() == {file.name for file in FILES.iterdir()} - {"SHA256SUMS", "README.md"}
    for name, published in sums.items():
        assert hashlib.sha256((FILES / name).read_bytes()).hexdigest() == published, name
    assert {"LICENSE", "NOTICE"} <= sums.keys()
