"""Basic authentication against bcrypt hashes. Checking one takes long on purpose, so a right answer is remembered."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import secrets
from collections.abc import Mapping

import bcrypt

_LONGEST = 72
"""Bytes of a password that bcrypt looks at. Others cut it in silence, and hashes were made that way."""


class Users:
    """Who may come in: name → bcrypt hash. Nobody is asked where there are none."""

    def __init__(self, hashes: Mapping[str, bytes]) -> None:
        self._hashes = {name.encode(): hashed for name, hashed in hashes.items()}
        # Any of the hashes will do for a name that is unknown: the answer takes as long, and tells nobody who exists.
        self._any = next(iter(self._hashes.values()), b"")
        self._key = secrets.token_bytes(32)
        self._admitted: set[bytes] = set()
        """HMACs of credentials that were right; at most one for each user."""
        self._turn = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._hashes)

    async def admits(self, authorization: bytes | None) -> bool:
        """Whether an `Authorization` header names a user with the right password."""
        credentials = _credentials(authorization)
        if credentials is None:
            return False
        name, password = credentials
        mark = hmac.digest(self._key, len(name).to_bytes(4) + name + password, "sha256")
        if mark in self._admitted:
            return True
        async with self._turn:  # one at a time: guessing must not take more than one core
            if mark in self._admitted:
                return True
            hashed = self._hashes.get(name)
            right = await asyncio.to_thread(_matches, password, self._any if hashed is None else hashed)
            if hashed is None or not right:
                return False
            self._admitted.add(mark)
            return True


def _credentials(authorization: bytes | None) -> tuple[bytes, bytes] | None:
    """Name and password of a Basic header; None for any other."""
    scheme, _, encoded = (authorization or b"").partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True)
    except binascii.Error:
        return None
    name, colon, password = decoded.partition(b":")
    return (name, password[:_LONGEST]) if colon else None


def _matches(password: bytes, hashed: bytes) -> bool:
    try:
        return bcrypt.checkpw(password, hashed)
    except ValueError:
        return False
