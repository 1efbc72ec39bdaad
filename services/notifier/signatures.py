"""Who may tell us what became of a message."""

import hmac
from hashlib import md5, sha1, sha256
from uuid import UUID


class Signer:
    """Signs what we give away, and knows it again."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def sign(self, message_id: UUID) -> str:
        """For an address that only its receiver is to know."""
        return hmac.new(self._secret, message_id.bytes, sha256).hexdigest()

    def is_ours(self, message_id: UUID, signature: str) -> bool:
        return hmac.compare_digest(self.sign(message_id).encode(), signature.encode())


def smsc_signed(secret: str, message_id: str, phone: str, status: str, sha1_hex: str, md5_hex: str) -> bool:
    """Whether SMSC signed a report: over `id:phone:status:secret`, by SHA-1, or by MD5 where that is all it sent."""
    said = f"{message_id}:{phone}:{status}:{secret}".encode()
    # Its own choice of hashes; with a long secret behind the rest, neither can be forged today.
    given, kind = (sha1_hex, sha1) if sha1_hex else (md5_hex, md5)
    return hmac.compare_digest(kind(said, usedforsecurity=False).hexdigest().encode(), given.lower().encode())
