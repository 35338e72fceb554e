"""TLS as `tls_server_config` asks for it: Go's words for it, done with OpenSSL."""

from __future__ import annotations

import ipaddress
import re
import ssl
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exporter.web.webconfig import TlsSettings

VERSIONS: Mapping[str, ssl.TLSVersion] = MappingProxyType(
    {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
)
CURVES: Mapping[str, str] = MappingProxyType(
    {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519"}
)
CLIENTS: Mapping[str, ssl.VerifyMode] = MappingProxyType(
    {
        "NoClientCert": ssl.CERT_NONE,
        "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
        "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
    }
)
TLS13_SUITES = frozenset({"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"})
"""Not to be chosen, in Go as here: TLS 1.3 always offers them."""

_SUITE = re.compile(
    r"TLS_(?:ECDHE_(?P<signature>ECDSA|RSA)|RSA)_WITH_"
    r"(?:AES_(?P<bits>128|256)_(?P<mode>GCM|CBC)_(?P<digest>SHA(?:256|384)?)|(?P<chacha>CHACHA20_POLY1305)(?:_SHA256)?)"
)
_REASONS: Mapping[str, str] = MappingProxyType(
    {
        "KEY_VALUES_MISMATCH": "the certificate and the key do not belong together",
        "KEY_TYPE_MISMATCH": "the certificate and the key do not belong together",
        "EE_KEY_TOO_SMALL": "the key of the certificate is too short for OpenSSL",
        "CA_MD_TOO_WEAK": "the certificate is signed with a digest too weak for OpenSSL",
    }
)


class Unusable(Exception):
    """A key of `tls_server_config` cannot be used, and why. Turned into a Problem with its line."""

    def __init__(self, key: str, message: str, hint: str | None = None) -> None:
        self.key = key
        self.message = message
        self.hint = hint
        super().__init__(message)


def suite(name: str) -> str | None:
    """OpenSSL's name of one of Go's cipher suites for TLS 1.2: `ECDHE-RSA-AES128-GCM-SHA256`. None for no suite."""
    found = _SUITE.fullmatch(name)
    if found is None:
        return None
    cipher = "CHACHA20-POLY1305" if found["chacha"] else f"AES{found['bits']}"
    if found["bits"]:
        cipher += f"-GCM-{found['digest']}" if found["mode"] == "GCM" else f"-{found['digest']}"
    return f"ECDHE-{found['signature']}-{cipher}" if found["signature"] else cipher


def context(settings: TlsSettings) -> ssl.SSLContext:
    """The context of a server, made from files as they are now. Unusable for what they do not hold."""
    made = _Context(ssl.PROTOCOL_TLS_SERVER)
    made.set_alpn_protocols(["http/1.1"])
    made.minimum_version = VERSIONS[settings.min_version]
    made.maximum_version = VERSIONS[settings.max_version]
    if settings.prefer_server_cipher_suites:
        made.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    else:
        made.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    if chosen := [name for name in map(suite, settings.cipher_suites) if name]:
        try:
            made.set_ciphers(":".join(chosen))
        except ssl.SSLError:
            raise Unusable("cipher_suites", "OpenSSL here speaks none of these") from None
    for curve in settings.curve_preferences:
        made.set_ecdh_curve(CURVES[curve])
    _own_certificate(made, settings)
    _clients(made, settings)
    return made


class Live(ssl.SSLContext):
    """A context that hands every new connection to the one that is right now, so that certificates can be renewed.

    asyncio makes each connection's TLS with `wrap_bio` of the context that the server was started with: this one.
    """

    def __new__(cls, _current: Callable[[], ssl.SSLContext]) -> Live:
        """A context for a server."""
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    def __init__(self, current: Callable[[], ssl.SSLContext]) -> None:
        """`current` raises ssl.SSLError where there is none: the connection is then refused."""
        self._current = current

    def wrap_bio(self, *arguments: Any, **named: Any) -> ssl.SSLObject:
        """See `ssl.SSLContext.wrap_bio`."""
        try:
            return self._current().wrap_bio(*arguments, **named)
        except ssl.SSLError:
            # This context has no certificate, so the handshake fails and the client hears of it. To raise here would
            # leave the client waiting: asyncio forgets to close the connection.
            return super().wrap_bio(*arguments, **named)


class _Peer(ssl.SSLObject):
    """A connection whose client must be one of those named in `client_allowed_sans`, where any are."""

    def do_handshake(self) -> None:
        super().do_handshake()
        allowed = getattr(self.context, "allowed_sans", None)
        if allowed is not None and not allowed & _names(self.getpeercert()):
            raise ssl.SSLCertVerificationError("the client's certificate has none of client_allowed_sans")


class _Context(ssl.SSLContext):
    sslobject_class = _Peer
    allowed_sans: frozenset[str] | None = None


def _own_certificate(made: ssl.SSLContext, settings: TlsSettings) -> None:
    with (
        _file("cert", settings.cert_file, settings.cert) as certificate,
        _file("key", settings.key_file, settings.key.get_secret_value() if settings.key else None) as key,
    ):

        def locked() -> str:  # without this, OpenSSL would ask for a password on the terminal
            name = "key_file" if settings.key_file else "key"
            raise Unusable(name, "the key is encrypted", "decrypt it: openssl pkey -in KEY -out DECRYPTED")

        try:
            made.load_cert_chain(certificate, key, password=locked)
        except ssl.SSLError as error:
            name = "cert_file" if settings.cert_file else "cert"
            message = _REASONS.get(error.reason or "", "is no PEM certificate that goes with the key")
            raise Unusable(name, message) from None


def _clients(made: _Context, settings: TlsSettings) -> None:
    made.verify_mode = CLIENTS[settings.client_auth_type or "NoClientCert"]
    if made.verify_mode is ssl.CERT_NONE:
        return
    if settings.client_ca_file is None and settings.client_ca is None:
        made.load_default_certs(ssl.Purpose.CLIENT_AUTH)  # as Go: whom the system trusts
    with _file("client_ca", settings.client_ca_file, settings.client_ca, required=False) as authorities:
        if authorities is not None:
            try:
                made.load_verify_locations(authorities)
            except ssl.SSLError:
                name = "client_ca_file" if settings.client_ca_file else "client_ca"
                raise Unusable(name, "holds no PEM certificate") from None
    if settings.client_allowed_sans:
        made.allowed_sans = frozenset(settings.client_allowed_sans)


@contextmanager
def _file(key: str, path: Path | None, text: str | None, *, required: bool = True) -> Iterator[str]:
    """A readable file: the one that is named, or for as long as it is needed one that holds the text."""
    if path is None and text is None and not required:
        yield None  # type: ignore[misc]
        return
    if path is not None:
        try:
            with path.open("rb"):
                pass
        except OSError as error:
            raise Unusable(f"{key}_file", f"cannot read {path}: {error.strerror or 'no reason given'}") from None
        yield str(path)
        return
    with tempfile.NamedTemporaryFile("w", prefix="cloudspend-", suffix=".pem") as file:  # OpenSSL reads files only
        file.write(text or "")
        file.flush()
        yield file.name


def _names(certificate: Mapping[str, Any] | None) -> frozenset[str]:
    """The subject's alternative names in a certificate."""
    found = (certificate or {}).get("subjectAltName", ())
    return frozenset(_address(value) if kind == "IP Address" else value for kind, value in found)


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip()))  # OpenSSL writes IPv6 in capitals and without ::
    except ValueError:
        return text
