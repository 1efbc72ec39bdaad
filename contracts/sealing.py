"""Sealing: how names and phones are encrypted, on topics and in tables. Compact JWE, bound to a lead or a partner."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import orjson
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey
from joserfc.registry import HeaderParameter

from contracts.person import Person
from contracts.topics import MAX_DEAD_LETTER_BYTES

OWNER: Final = "own"
CACHED_PEOPLE: Final = 4096


class _Registry(jwe.JWERegistry):
    # joserfc decrypts at most 64 KiB by default; a dead letter holds a whole record.
    max_ciphertext_length = MAX_DEAD_LETTER_BYTES


_REGISTRY = _Registry(
    header_registry={OWNER: HeaderParameter("Id of the lead or partner that the content belongs to", "str")},
    algorithms=["dir", "ECDH-ES", "A256GCM"],
)
# The header of a token may hold any JSON, and joserfc then raises any of these.
_DECRYPTION_ERRORS: Final = (JoseError, ValueError, KeyError, TypeError, AttributeError, AssertionError)


class Unsealable(ValueError):
    """The text cannot be decrypted: another key, a broken token, another owner. The error quotes no content."""


class Sealer:
    """Seals with its first key and opens with any of its keys, so keys can be rotated while old messages stay readable.

    `jwks` is a JWK Set as JSON text: `{"keys": [{"kty": "oct", "kid": ..., "k": ...}, ...]}`, 256-bit keys.
    Raises ValueError for any other text; the error does not quote it.
    """

    def __init__(self, jwks: str) -> None:
        try:
            keys = [OctKey.import_key(key) for key in json.loads(jwks)["keys"]]
        except (ValueError, KeyError, TypeError, JoseError):
            raise ValueError("sealing keys must be a JWK Set of oct keys") from None
        if not keys or any(not key.kid or len(key.raw_value) != 32 for key in keys):
            raise ValueError("each sealing key needs a kid and 256 bits")
        self._keys = {key.kid: key for key in keys}
        if len(self._keys) != len(keys):
            raise ValueError("two sealing keys share a kid")
        self._current = keys[0]
        # A client is opened several times within seconds, a partner all day.
        self._open = lru_cache(CACHED_PEOPLE)(self._decrypt)

    def seal(self, client: Person, owner: str) -> str:
        """A compact JWE of a person, bound to `owner`: the id of a lead or a partner."""
        plain = orjson.dumps({"full_name": client.full_name, "phone": client.phone, "phone_raw": client.phone_raw})
        header = {"alg": "dir", "enc": "A256GCM", "kid": self._current.kid, OWNER: owner}
        return jwe.encrypt_compact(header, plain, self._current, registry=_REGISTRY)

    def open(self, sealed: str, owner: str) -> Person:
        """The person in a sealed text. Raises Unsealable if no key decrypts it or it is bound to another owner."""
        return self._open(sealed, owner)

    def _decrypt(self, sealed: str, owner: str) -> Person:
        try:
            opened = jwe.decrypt_compact(sealed, self._key_for, registry=_REGISTRY)
        except _DECRYPTION_ERRORS:
            raise Unsealable("does not open with any of the keys") from None
        if opened.protected.get(OWNER) != owner:
            raise Unsealable("is bound to another owner")
        return _person(opened.plaintext)

    def _key_for(self, recipient: Any) -> OctKey:
        return self._keys[recipient.headers()["kid"]]


def encrypt_to(public_key: ECKey, plain: bytes) -> str:
    """A compact JWE (`ECDH-ES`, `A256GCM`) to a public key. Portals' requests and dead letters are encrypted so."""
    public_key.ensure_kid()
    header = {"alg": "ECDH-ES", "enc": "A256GCM", "kid": public_key.kid}
    return jwe.encrypt_compact(header, plain, public_key, registry=_REGISTRY)


def decrypt_with(private_keys: Sequence[ECKey], token: str) -> bytes:
    """The content of a token that was encrypted to one of `private_keys`, named or not. Raises Unsealable."""
    for key in private_keys:
        try:
            plain = jwe.decrypt_compact(token, key, registry=_REGISTRY).plaintext
        except _DECRYPTION_ERRORS:
            continue
        return plain or b""
    raise Unsealable("does not open with any of the keys")


def _person(plain: bytes | None) -> Person:
    try:
        fields = orjson.loads(plain or b"")
        texts = [fields[name] for name in ("full_name", "phone", "phone_raw")]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise Unsealable("holds no person") from None
    if not all(isinstance(text, str) for text in texts):
        raise Unsealable("holds no person")
    return Person(*texts)
