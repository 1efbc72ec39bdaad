"""Settings of intake: environment variables with the prefix `INTAKE_`, and those that all services share."""

import json
from functools import cached_property
from typing import Annotated

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey
from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import SettingsConfigDict

from chassis.settings import HexSecret, Port, ServiceSettings
from contracts.sealing import Sealer


def _sealing_keys(secret: SecretStr) -> SecretStr:
    Sealer(secret.get_secret_value())
    return secret


def _receipt_key(secret: SecretStr) -> SecretStr:
    _private(OKPKey, secret, "a private Ed25519 JWK with a kid")
    return secret


def _unsealing_key(secret: SecretStr) -> SecretStr:
    _private(ECKey, secret, "a private EC JWK with a kid")
    return secret


def _private(kind: type[ECKey] | type[OKPKey], secret: SecretStr, what: str) -> ECKey | OKPKey:
    try:
        key = kind.import_key(json.loads(secret.get_secret_value()))
        if key.kid and key.is_private:
            return key
    except (ValueError, TypeError, KeyError, JoseError):
        pass
    raise ValueError(f"must be {what}") from None


class Settings(ServiceSettings):
    """Settings of the running service.

    `accept_plain_clients` lets portals write readable clients to their topics: for demonstrations only.
    `leads_per_hour`, `leads_per_day`: at most this many leads of one partner are taken. `reserved_at_most`: at most
    this many clients of one partner are under review or reserved at once. 0 is no limit.
    """

    model_config = SettingsConfigDict(env_prefix="INTAKE_", hide_input_in_errors=True)

    http_host: str = "127.0.0.1"
    http_port: Port
    sealing_keys: Annotated[SecretStr, AfterValidator(_sealing_keys)]
    client_key_secret: HexSecret
    receipt_key: Annotated[SecretStr, AfterValidator(_receipt_key)]
    unsealing_key: Annotated[SecretStr, AfterValidator(_unsealing_key)]
    accept_plain_clients: bool = False
    leads_per_hour: Annotated[int, Field(ge=0)] = 200
    leads_per_day: Annotated[int, Field(ge=0)] = 1000
    reserved_at_most: Annotated[int, Field(ge=0)] = 0
    dead_letters_public_key: Annotated[str, Field(validation_alias="DEAD_LETTERS_PUBLIC_KEY")]

    @cached_property
    def secret(self) -> bytes:
        """The secret behind client keys, digests of requests and salts of receipts."""
        return bytes.fromhex(self.client_key_secret.get_secret_value())

    @cached_property
    def receipt_jwk(self) -> OKPKey:
        return OKPKey.import_key(json.loads(self.receipt_key.get_secret_value()))

    @cached_property
    def unsealing_jwk(self) -> ECKey:
        return ECKey.import_key(json.loads(self.unsealing_key.get_secret_value()))
