"""The route that publishes the public keys."""

from typing import Any

from fastapi import FastAPI

from services.intake.settings import Settings


def add_key_routes(app: FastAPI, settings: Settings) -> None:
    key_set = {
        "keys": [
            {**settings.unsealing_jwk.as_dict(private=False), "use": "enc", "alg": "ECDH-ES"},
            {**settings.receipt_jwk.as_dict(private=False), "use": "sig", "alg": "Ed25519"},
        ]
    }

    @app.get("/.well-known/jwks.json")
    async def jwks() -> dict[str, Any]:
        """Открытые ключи: шифрования клиентов и проверки квитанций."""
        return key_set
