"""The keys that the golden samples are sealed with. They protect nothing and are used nowhere else."""

import json
from typing import Final

from joserfc.jwk import ECKey

from contracts.sealing import Sealer

KEY: Final = {"kty": "oct", "kid": "sample-1", "k": "F0ZPElfArb84v36wqnJvKjBph99I0NtyODh3DhZ5jXs"}
NEXT_KEY: Final = {"kty": "oct", "kid": "sample-2", "k": "T0RmlFvL81_AEmS5uJtmHOxltfV2OjHU5IN-LY3PIuQ"}
CLIENT_KEY_SECRET: Final = b"a throw-away secret for samples"
INTAKE_JWK: Final = {
    "kty": "EC",
    "crv": "P-256",
    "x": "j8sc5jkzSNDQc2bhloEmu4wtHowy9JyyHKhmyvMklAc",
    "y": "yIXGJfIjcyrd6fIfRnLxwPtbAQx4sOtZXzTVNIXnvBs",
    "d": "I4tcFFxzZ6YRPr_L2cR9-s2hZWHY9bdOVnX3akqhSH0",
    "kid": "sample-intake",
}
OPERATOR_JWK: Final = {
    "kty": "EC",
    "crv": "P-256",
    "x": "he_SdFg6m2UQhi1ZOtULe8-pq1xWPH4GNUiqP862ypE",
    "y": "qpXUUactxJNi0tlg6IaG_QUt4mt7uNNDV_yr9V7M3Sw",
    "d": "K71s7UmQLiM7td8B4Lh60xumskXaKlwELlBgQyXwly0",
    "kid": "sample-operator",
}


def sealer(*keys: dict[str, str]) -> Sealer:
    """A sealer that holds `keys`; the first one seals."""
    return Sealer(json.dumps({"keys": keys}))


def private(jwk: dict[str, str]) -> ECKey:
    """A private key from its JWK."""
    return ECKey.import_key({**jwk})
