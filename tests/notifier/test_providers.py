"""One suite for the adapters of all providers, each connected to its provider as a process."""

import io
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from services.notifier.domain.answers import (
    Accepted,
    Disabled,
    Found,
    Healthy,
    InDoubt,
    Missing,
    NoAnswer,
    NoLookup,
    Unreachable,
)
from services.notifier.providers.base import Provider
from services.notifier.providers.console import Console
from services.notifier.providers.kannel import Kannel
from services.notifier.providers.smsc import Smsc
from services.notifier.signatures import Signer
from tests.notifier import kannel
from tests.notifier.harness import wait_until
from tests.notifier.peers import bad_peer, http
from tests.simulators.tests.processes import LOGIN, PSW, Sim

ID = UUID("00000000-0000-5000-8000-0000000000a1")
PHONE = "+79031112233"
TEXT = "Клиент Ёлкина Щ. закреплён за вами до 24.05.2027 включительно, и ещё немного слов о том же. Заявка 04F2."


@dataclass(frozen=True)
class Peer:
    """A running provider.

    `adapter(url, password)` makes an adapter of its kind. `received()` returns number → texts that it has accepted.
    """

    url: str
    password: str
    adapter: Callable[[str, str], Provider]
    received: Callable[[], dict[str, list[str]]]


@pytest.fixture(scope="module")
def kannel_peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    if reason := kannel.why_not():
        pytest.skip(reason)
    with kannel.running(tmp_path_factory.mktemp("kannel")) as running:
        yield Peer(running.url, kannel.PASSWORD, _kannel, lambda: _with_plus(running.received()))


def _kannel(url: str, password: str) -> Provider:
    return Kannel(url, kannel.USER, password, kannel.SENDER, "http://127.0.0.1:9", Signer("x"), read_timeout_s=5)


def _with_plus(texts: dict[str, list[str]]) -> dict[str, list[str]]:
    return {f"+{number.lstrip('+')}": found for number, found in texts.items()}


@pytest.fixture
def smsc_peer(sms: Sim) -> Peer:
    def received() -> dict[str, list[str]]:
        return {one["to"]: [one["text"]] for one in sms.get("messages")}

    return Peer(sms.base, PSW, lambda url, password: Smsc(url, LOGIN, password, read_timeout_s=5), received)


class Terminal(io.StringIO):
    """A stream that passes for a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def console_peer() -> Peer:
    terminal = Terminal()

    def received() -> dict[str, list[str]]:
        lines = terminal.getvalue().splitlines()
        return {line.split()[3].rstrip(":"): [line.partition(": ")[2]] for line in lines}

    return Peer("", "", lambda _, __: Console(terminal), received)


@pytest.fixture(params=["smsc", "kannel", "console"])
def peer(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(f"{request.param}_peer")


@pytest.fixture(params=["smsc", "kannel"])
def distant(request: pytest.FixtureRequest) -> Any:
    """The providers with an account and an address."""
    return request.getfixturevalue(f"{request.param}_peer")


@asynccontextmanager
async def connected(peer: Peer, url: str | None = None, password: str | None = None) -> AsyncIterator[Provider]:
    adapter = peer.adapter(peer.url if url is None else url, peer.password if password is None else password)
    yield adapter
    await adapter.close()


async def test_a_cyrillic_sms_of_two_segments_arrives_whole(peer: Peer) -> None:
    async with connected(peer) as provider:
        assert await provider.send(ID, PHONE, TEXT) == Accepted()

    await wait_until(lambda: peer.received().get(PHONE) == [TEXT], "the whole SMS", deadline_s=10)


async def test_a_lookup_never_finds_an_sms_that_was_not_sent(peer: Peer) -> None:
    async with connected(peer) as provider:
        assert await provider.lookup(UUID(int=7), PHONE) in (Missing(), NoLookup())


async def test_a_lookup_finds_an_sms_that_was_sent_or_is_not_supported(peer: Peer) -> None:
    async with connected(peer) as provider:
        await provider.send(ID, "+79031112244", TEXT)

        assert isinstance(await provider.lookup(ID, "+79031112244"), Found | NoLookup)


async def test_a_working_provider_is_healthy(peer: Peer) -> None:
    async with connected(peer) as provider:
        assert isinstance(await provider.check(), Healthy)


async def test_a_wrong_password_disables_the_provider_and_nothing_is_sent(distant: Peer) -> None:
    async with connected(distant, password="wrong") as provider:
        assert isinstance(await provider.check(), Disabled)
        assert isinstance(await provider.send(ID, "+79031112255", TEXT), Disabled)

    assert "+79031112255" not in distant.received()


async def test_without_a_connection_it_is_certain_that_nothing_was_sent(distant: Peer, unused_tcp_port: int) -> None:
    async with connected(distant, url=f"http://127.0.0.1:{unused_tcp_port}") as provider:
        assert isinstance(await provider.send(ID, PHONE, TEXT), Unreachable)
        assert isinstance(await provider.check(), NoAnswer)


async def test_the_console_prints_no_phone_and_no_text_into_a_log() -> None:
    log = io.StringIO()

    assert await Console(log).send(ID, PHONE, TEXT) == Accepted()
    assert str(ID) in log.getvalue()
    assert PHONE not in log.getvalue()
    assert "Ёлкина" not in log.getvalue()


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 202 Acc", b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{", http("?", "500 Oops")]
)
async def test_a_lost_or_undocumented_answer_leaves_the_sms_in_doubt(distant: Peer, answer: bytes) -> None:
    async with bad_peer(answer) as url, connected(distant, url=url) as provider:
        assert isinstance(await provider.send(ID, PHONE, TEXT), InDoubt)
        assert isinstance(await provider.check(), NoAnswer)
