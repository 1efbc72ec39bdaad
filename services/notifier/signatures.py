"""Signatures that prove who sent a delivery report."""

import hmac
from hashlib import md5, sha1, sha256
from uuid import UUID


class Signer:
    """Signs the report addresses that we give to a provider, and verifies them when the provider calls back."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def sign(self, message_id: UUID) -> str:
        """The hexadecimal HMAC-SHA-256 of the id of an SMS."""
        return hmac.new(self._secret, message_id.bytes, sha256).hexdigest()

    def verify(self, message_id: UUID, signature: str) -> bool:
        """Whether `sign` returned this signature for this id."""
        return hmac.compare_digest(self.sign(message_id).encode(), signature.encode())


def is_smsc_signature(secret: str, message_id: str, phone: str, status: str, sha1_hex: str, md5_hex: str) -> bool:
    """Whether SMSC signed a report: a hash over `id:phone:status:secret`, SHA-1, or MD5 where SHA-1 is empty."""
    signed = f"{message_id}:{phone}:{status}:{secret}".encode()
    # SMSC prescribes these hashes. With a long secret at the end of the input, neither can be forged today.
    given, algorithm = (sha1_hex, sha1) if sha1_hex else (md5_hex, md5)
    expected = algorithm(signed, usedforsecurity=False).hexdigest()
    return hmac.compare_digest(expected.encode(), given.lower().encode())
