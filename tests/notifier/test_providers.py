"""What every provider's adapter keeps, whichever it is: one suite for all, each against its peer as a process."""

import io
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from services.notifier.answers import Accepted, Barred, CannotTell, Found, InDoubt, Missing, NoWord, Unreached, Well
from services.notifier.providers import Provider
from services.notifier.providers.console import Console
from services.notifier.providers.kannel import Kannel
from services.notifier.providers.smsc import Smsc
from services.notifier.signatures import Signer
from tests.notifier import kannel
from tests.notifier.peers import bad_peer, http
from tests.notifier.world import until
from tests.simulators.tests.processes import LOGIN, PSW, Sim

ID = UUID("00000000-0000-5000-8000-0000000000a1")
PHONE = "+79031112233"
TEXT = "Клиент Ёлкина Щ. закреплён за вами до 24.05.2027 включительно, и ещё немного слов о том же. Заявка 04F2."


@dataclass(frozen=True)
class Peer:
    """A provider to talk to. `adapter(url, password)` speaks to it, or to somebody else; `received()` are its texts."""

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
    """Somebody sits before it."""

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
    """Those that are somewhere else, and want a password."""
    return request.getfixturevalue(f"{request.param}_peer")


@asynccontextmanager
async def speaking(peer: Peer, url: str | None = None, password: str | None = None) -> AsyncIterator[Provider]:
    adapter = peer.adapter(peer.url if url is None else url, peer.password if password is None else password)
    yield adapter
    await adapter.close()


async def test_a_cyrillic_message_of_two_segments_arrives_whole(peer: Peer) -> None:
    async with speaking(peer) as provider:
        assert await provider.send(ID, PHONE, TEXT) == Accepted()

    await until(lambda: peer.received().get(PHONE) == [TEXT] or None, "the whole message", deadline_s=10)


async def test_a_look_never_finds_what_was_never_sent(peer: Peer) -> None:
    async with speaking(peer) as provider:
        assert await provider.look(UUID(int=7), PHONE) in (Missing(), CannotTell())


async def test_a_look_finds_what_was_sent_or_cannot_tell(peer: Peer) -> None:
    async with speaking(peer) as provider:
        await provider.send(ID, "+79031112244", TEXT)

        assert isinstance(await provider.look(ID, "+79031112244"), Found | CannotTell)


async def test_a_provider_that_works_is_well(peer: Peer) -> None:
    async with speaking(peer) as provider:
        assert isinstance(await provider.check(), Well)


async def test_a_wrong_password_bars_it_and_nothing_is_sent(distant: Peer) -> None:
    async with speaking(distant, password="wrong") as provider:
        assert isinstance(await provider.check(), Barred)
        assert isinstance(await provider.send(ID, "+79031112255", TEXT), Barred)

    assert "+79031112255" not in distant.received()


async def test_where_nobody_listens_nothing_was_sent(distant: Peer, unused_tcp_port: int) -> None:
    async with speaking(distant, url=f"http://127.0.0.1:{unused_tcp_port}") as provider:
        assert isinstance(await provider.send(ID, PHONE, TEXT), Unreached)
        assert isinstance(await provider.check(), NoWord)


async def test_the_console_shows_nothing_of_a_message_to_a_log() -> None:
    log = io.StringIO()

    assert await Console(log).send(ID, PHONE, TEXT) == Accepted()
    assert str(ID) in log.getvalue()
    assert PHONE not in log.getvalue()
    assert "Ёлкина" not in log.getvalue()


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 202 Acc", b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{", http("?", "500 Oops")]
)
async def test_an_answer_that_is_lost_or_makes_no_sense_is_doubt(distant: Peer, answer: bytes) -> None:
    async with bad_peer(answer) as url, speaking(distant, url=url) as provider:
        assert isinstance(await provider.send(ID, PHONE, TEXT), InDoubt)
        assert isinstance(await provider.check(), NoWord)
