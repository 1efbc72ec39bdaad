"""The secrets of one local system: generated once, stored in `secrets.json` (mode 0600), never printed."""

import json
import secrets
from pathlib import Path

from joserfc.jwk import ECKey, KeyParameters, KeySet, OctKey, OKPKey

from deploy.local.program import write_private

DATABASES = ("intake", "onec_gateway", "reservations", "notifier", "cabinet")

# Name of a secret → its kind, which decides how it is generated.
KINDS = {
    "postgres_password": "password",
    **{f"{database}_database_password": "password" for database in DATABASES},
    "onec_password": "password",
    "sms_password": "password",
    "sms_report_secret": "password",
    "client_key_secret": "hex",
    "history_key": "hex",
    "sealing_keys": "sealing",
    "receipt_key": "Ed25519",
    "unsealing_key": "P-256",
    "dead_letters_key": "P-256",
}


class Secrets:
    """The secrets of `secrets.json`, by name. Missing secrets are generated and stored; existing ones stay.

    So a new version of Truce with a new secret can use the data of the version before.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._values: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        missing = KINDS.keys() - self._values.keys()
        if missing:
            self._values.update((name, _make(KINDS[name], name)) for name in sorted(missing))
            self._save()

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def get(self, name: str) -> str | None:
        """A secret, or None if it does not exist yet."""
        return self._values.get(name)

    def store(self, name: str, value: str) -> None:
        """Store a secret that another program generated."""
        self._values[name] = value
        self._save()

    def public_key(self, name: str) -> str:
        """The public half of a stored private EC key, as a JWK."""
        return json.dumps(ECKey.import_key(json.loads(self._values[name])).as_dict(private=False))

    def _save(self) -> None:
        write_private(self._path, json.dumps(self._values, indent=1))


def _make(kind: str, name: str) -> str:
    if kind == "password":
        return secrets.token_urlsafe(24)
    if kind == "hex":
        return secrets.token_hex(32)
    if kind == "sealing":
        key = OctKey.generate_key(256, {"kid": "s1"}, private=True)
        return json.dumps(KeySet([key]).as_dict(private=True))
    parameters: KeyParameters = {"kid": f"{name.removesuffix('_key').replace('_', '-')}-1"}
    if kind == "Ed25519":
        return json.dumps(OKPKey.generate_key("Ed25519", parameters, private=True).as_dict(private=True))
    return json.dumps(ECKey.generate_key("P-256", parameters, private=True).as_dict(private=True))
