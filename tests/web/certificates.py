"""Authorities and certificates made for one test."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path

import trustme


@dataclass
class Authority:
    """A certificate authority with its files in a folder."""

    folder: Path
    name: str = "ca"
    ca: trustme.CA = field(default_factory=trustme.CA)

    def __post_init__(self) -> None:
        self.file = self.folder / f"{self.name}.pem"
        self.ca.cert_pem.write_to_path(str(self.file))

    def issue(self, name: str, *identities: str) -> tuple[Path, Path]:
        """Certificate and key of `identities` (127.0.0.1 unless said), as `name`.pem and `name`.key."""
        made = self.ca.issue_cert(*(identities or ("127.0.0.1",)))
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        certificate.write_bytes(b"".join(part.bytes() for part in made.cert_chain_pems))
        key.write_bytes(made.private_key_pem.bytes())
        return certificate, key

    def trusted(self, client: tuple[Path, Path] | None = None) -> ssl.SSLContext:
        """What a client uses that trusts this authority, and has a certificate of its own or none."""
        context = ssl.create_default_context(cafile=str(self.file))
        if client:
            context.load_cert_chain(*client)
        return context
