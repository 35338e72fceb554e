"""Google's token endpoint: service-account keys made here, their signed assertions checked, tokens that can be revoked.

The assertion is a JWT signed with RS256 (RFC 7523); google-auth names the real endpoint as its audience, whichever
one it asks.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

AUDIENCE = "https://oauth2.googleapis.com/token"
_LIFE = 3600
_SKEW = 300


class Unauthorised(Exception):
    """Why no token is given, in the endpoint's words."""


class Tokens:
    """Keys of one service account, and the tokens that are good."""

    def __init__(self, account: str) -> None:
        from cryptography.hazmat.primitives.asymmetric import rsa

        self.account = account
        self._key = rsa.generate_private_key(65537, 2048)
        self._good: set[str] = set()
        self.given = 0

    def key_file(self, project: str, token_uri: str) -> str:
        """What a service account's key file holds."""
        from cryptography.hazmat.primitives import serialization

        pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return json.dumps(
            {
                "type": "service_account",
                "project_id": project,
                "private_key_id": "simulated",
                "private_key": pem.decode(),
                "client_email": self.account,
                "client_id": "1",
                "token_uri": token_uri,
            }
        )

    def grant(self, body: bytes) -> dict[str, object]:
        """A token for an assertion. Unauthorised where it is not signed by our key, or not of this hour."""
        form = dict(parse_qsl(body.decode()))
        claims = self._claims(form.get("assertion", ""))
        if claims.get("iss") != self.account or claims.get("aud") != AUDIENCE:
            raise Unauthorised("Invalid JWT: issuer or audience")
        now = time.time()  # tokens live by the real time, not by the simulated one
        if not now - _LIFE - _SKEW <= claims["iat"] <= now + _SKEW:
            raise Unauthorised(
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe"
            )
        return {"access_token": self._new(), "expires_in": _LIFE, "token_type": "Bearer"}

    def act_as(self, path: str) -> dict[str, object]:
        """A token of another account, as the IAM Credentials API gives it."""
        expires = datetime.now(UTC) + timedelta(seconds=_LIFE)
        return {"accessToken": self._new(), "expireTime": f"{expires:%Y-%m-%dT%H:%M:%SZ}", "name": path}

    def good(self, authorization: str) -> bool:
        """Whether a request bears a token that was given and not revoked."""
        return authorization.removeprefix("Bearer ") in self._good

    def revoke(self) -> None:
        """All tokens that were given are good no more."""
        self._good.clear()

    def _new(self) -> str:
        self.given += 1
        token = f"simulated-{self.given}"
        self._good.add(token)
        return token

    def _claims(self, assertion: str) -> Mapping[str, Any]:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        signed, _, signature = assertion.rpartition(".")
        try:
            self._key.public_key().verify(_decoded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise Unauthorised("Invalid JWT Signature.") from None
        claims: Mapping[str, Any] = json.loads(_decoded(signed.partition(".")[2]))
        return claims


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
