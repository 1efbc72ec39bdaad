"""Sealing: names and phones open only with a key, and only for the lead that they belong to."""

import base64
import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from joserfc import jwe
from joserfc.jwk import ECKey, OctKey

from contracts.person import Person
from contracts.sealing import Sealer, Unsealable, decrypt_with, encrypt_to
from contracts.topics import MAX_MESSAGE_BYTES
from tests.contracts import keys

OWNER = "6f0d3c52-5a55-4d0e-9d3e-0c6a3e7c1a01"
ANNA = Person("Анна Образцова", "+79990000001", "8 999 000-00-01")
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=150)
clients = st.builds(Person, full_name=words, phone=words, phone_raw=words)
sealer = keys.sealer(keys.KEY)
intake = keys.private(keys.INTAKE_JWK)
public = ECKey.import_key({name: part for name, part in keys.INTAKE_JWK.items() if name != "d"})


def with_header(token: str, header: Any) -> str:
    head = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    return ".".join([head, *token.split(".")[1:]])


@given(clients, st.uuids().map(str))
def test_a_sealed_person_opens_for_its_owner(client: Person, owner: str) -> None:
    assert sealer.open(sealer.seal(client, owner), owner) == client


@given(clients, words.filter(lambda owner: owner != OWNER))
def test_a_sealed_person_opens_for_no_other_owner(client: Person, other: str) -> None:
    with pytest.raises(Unsealable):
        sealer.open(sealer.seal(client, OWNER), other)


def test_a_sealed_person_opens_with_no_other_key() -> None:
    same_kid = keys.sealer({**keys.NEXT_KEY, "kid": keys.KEY["kid"]})

    for stranger in (keys.sealer(keys.NEXT_KEY), same_kid):
        with pytest.raises(Unsealable):
            stranger.open(sealer.seal(ANNA, OWNER), OWNER)


def test_after_a_rotation_old_messages_open_and_new_messages_use_the_new_key() -> None:
    rotated = keys.sealer(keys.NEXT_KEY, keys.KEY)

    assert rotated.open(sealer.seal(ANNA, OWNER), OWNER) == ANNA
    assert keys.sealer(keys.NEXT_KEY).open(rotated.seal(ANNA, OWNER), OWNER) == ANNA


def test_a_person_is_sealed_to_another_text_each_time() -> None:
    assert sealer.seal(ANNA, OWNER) != sealer.seal(ANNA, OWNER)


@given(st.integers(min_value=0), st.sampled_from("AQgw_-"))
def test_a_token_with_any_changed_character_does_not_open(place: int, letter: str) -> None:
    token = sealer.seal(ANNA, OWNER)
    at = place % len(token)
    assume(token[at] not in (".", letter))
    assume(token[at + 1 : at + 2] not in ("", "."))  # the last letter of a part may have unused bits

    with pytest.raises(Unsealable):
        sealer.open(token[:at] + letter + token[at + 1 :], OWNER)


@pytest.mark.parametrize(
    "header",
    [
        None,
        [],
        "dir",
        {},
        {"alg": "dir", "enc": "A256GCM"},
        {"alg": "dir", "enc": "A256GCM", "kid": []},
        {"alg": "dir", "enc": "A256GCM", "kid": "sample-1", "own": 5},
        {"alg": "dir", "enc": {}, "kid": "sample-1"},
        {"alg": [], "enc": "A256GCM", "kid": "sample-1"},
        {"alg": "dir", "enc": "A256GCM", "kid": "sample-1", "crit": 5},
        {"alg": "dir", "enc": "A256GCM", "kid": "sample-1", "zip": "DEF"},
        {"alg": "none", "enc": "A256GCM", "kid": "sample-1"},
        {"alg": "dir", "enc": "A256GCM", "kid": "sample-intake", "crit": 5},
        {"alg": "ECDH-ES", "enc": "A256GCM", "kid": "sample-intake", "crit": 5},
        {"alg": "ECDH-ES", "enc": "A256GCM", "kid": "sample-intake", "epk": []},
        {"alg": "ECDH-ES", "enc": "A256GCM", "kid": "sample-intake", "epk": {"kty": "EC", "crv": [], "x": 1}},
        {"alg": "ECDH-ES", "enc": {}, "kid": "sample-intake"},
        {"alg": {}, "enc": "A256GCM", "kid": ["sample-intake"]},
    ],
)
def test_a_token_with_a_foreign_header_is_refused_without_another_error(header: Any) -> None:
    with pytest.raises(Unsealable):
        sealer.open(with_header(sealer.seal(ANNA, OWNER), header), OWNER)
    with pytest.raises(Unsealable):
        decrypt_with([intake], with_header(encrypt_to(public, b"x"), header))


@given(st.text(), st.binary())
def test_a_text_that_is_no_token_is_refused_without_another_error(text: str, content: bytes) -> None:
    for token in (text, content.decode("latin-1"), f"{text}.{text}.{text}.{text}.{text}"):
        with pytest.raises(Unsealable):
            sealer.open(token, OWNER)
        with pytest.raises(Unsealable):
            decrypt_with([intake], token)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"5", b"{}", b"\xff", b'{"full_name": 5, "phone": [], "phone_raw": null}']
)
def test_a_token_without_a_person_in_it_is_refused(content: bytes) -> None:
    registry = jwe.JWERegistry(algorithms=["dir", "A256GCM"], strict_check_header=False)
    header = {"alg": "dir", "enc": "A256GCM", "kid": keys.KEY["kid"], "own": OWNER}
    token = jwe.encrypt_compact(header, content, OctKey.import_key({**keys.KEY}), registry=registry)

    with pytest.raises(Unsealable, match="holds no person"):
        sealer.open(token, OWNER)


@given(words, words)
def test_neither_a_token_nor_an_error_shows_content(name: str, phone: str) -> None:
    client = Person(f"@{name}@", f"#{phone}#", f"#{phone}#")
    token = sealer.seal(client, OWNER)
    texts = [token]
    stranger = keys.sealer(keys.NEXT_KEY)
    attempts = [
        (sealer, token, "other"),
        (stranger, token, OWNER),
        (sealer, f"{client.full_name}.{client.phone}", OWNER),
    ]
    for one, text, owner in attempts:
        with pytest.raises(Unsealable) as refused:
            one.open(text, owner)
        assert refused.value.__cause__ is None
        texts.append(f"{refused.value!s}{refused.value!r}")

    assert not [text for text in texts if client.full_name in text or client.phone in text]


@pytest.mark.parametrize(
    "jwks",
    [
        "",
        "5",
        "[]",
        "{}",
        '{"keys": []}',
        '{"keys": 5}',
        '{"keys": [{}]}',
        json.dumps({"keys": [{"kty": "oct", "k": keys.KEY["k"]}]}),
        json.dumps({"keys": [{**keys.KEY, "k": "c2hvcnQtYnV0LW5vdC1zby1zaG9ydA"}]}),
        json.dumps({"keys": [keys.INTAKE_JWK]}),
        json.dumps({"keys": [keys.KEY, {**keys.NEXT_KEY, "kid": keys.KEY["kid"]}]}),
    ],
)
def test_invalid_sealing_keys_are_refused_at_the_start_and_never_quoted(jwks: str) -> None:
    with pytest.raises(ValueError, match="key") as refused:
        Sealer(jwks)

    assert not [part for part in (keys.KEY["k"], "c2hvcnQ", keys.INTAKE_JWK["d"]) if part in str(refused.value)]


class TestToAPublicKey:
    """Encryption to a public key, as in portals' requests and in dead letters."""

    @given(st.binary())
    def test_content_opens_with_the_private_key(self, content: bytes) -> None:
        assert decrypt_with([keys.private(keys.OPERATOR_JWK), intake], encrypt_to(public, content)) == content

    def test_a_token_need_not_name_its_key(self) -> None:
        header = {"alg": "ECDH-ES", "enc": "A256GCM"}
        token = jwe.encrypt_compact(header, b"content", public, algorithms=["ECDH-ES", "A256GCM"])

        assert decrypt_with([keys.private(keys.OPERATOR_JWK), intake], token) == b"content"

    def test_a_public_key_needs_no_key_id(self) -> None:
        nameless = ECKey.import_key({name: part for name, part in keys.INTAKE_JWK.items() if name not in ("d", "kid")})

        assert decrypt_with([intake], encrypt_to(nameless, b"content")) == b"content"

    def test_content_opens_with_no_other_private_key(self) -> None:
        with pytest.raises(Unsealable):
            decrypt_with([keys.private(keys.OPERATOR_JWK)], encrypt_to(public, b"content"))

    def test_a_dead_letter_of_the_largest_portal_message_opens_again(self) -> None:
        content = b"x" * (4 * MAX_MESSAGE_BYTES * 4 // 3)

        assert decrypt_with([intake], encrypt_to(public, content)) == content
