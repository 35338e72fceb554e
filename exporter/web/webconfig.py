"""`--web.config.file`: TLS, users and headers, in the form that Prometheus' own exporters read.

See https://prometheus.io/docs/prometheus/latest/configuration/https/. What Python's TLS cannot do is refused with a
sentence rather than left out: a file that asks for more protection than it gets would be a trap.
"""

from __future__ import annotations

import logging
import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from exporter.config import secrets
from exporter.config.base import Settings
from exporter.config.document import Document, parse
from exporter.config.problems import Translator
from exporter.config.values import LocalPath
from exporter.errors import ConfigError, Problem
from exporter.web import tls
from exporter.web.auth import Users

_log = logging.getLogger(__name__)

_UNVERIFIED = ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert")
_OLD = ("TLS10", "TLS11")
_HASH = re.compile(r"\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")
_HEADERS: Mapping[str, tuple[str, ...]] = {
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
    "Content-Security-Policy": (),
}
"""The headers that may be set, and their only values where they have such."""


def _none_of_it(value: object) -> object:
    """An empty text is a key left out, as in Go."""
    return None if value == "" else value


def _version(name: str) -> str:
    if name in _OLD:
        raise ValueError(f"{name} is broken, and OpenSSL here does not speak it. hint: TLS12 or TLS13")
    if name not in tls.VERSIONS:
        raise ValueError(f"{name!r} is not one of TLS12, TLS13")
    return name


def _suite(name: str) -> str:
    if name not in tls.TLS13_SUITES and tls.suite(name) is None:
        raise ValueError(f"{name!r} is not a cipher suite such as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256")
    return name


def _curve(name: str) -> str:
    if name not in tls.CURVES:
        raise ValueError(f"{name!r} is not one of {', '.join(tls.CURVES)}")
    return name


def _client_auth(name: str | None) -> str | None:
    if name in _UNVERIFIED:
        raise ValueError(
            f"{name} takes certificates that nobody verifies, which Python's TLS cannot."
            " hint: RequireAndVerifyClientCert with client_ca_file"
        )
    if name is not None and name not in tls.CLIENTS:
        raise ValueError(f"{name!r} is not one of {', '.join(tls.CLIENTS)}")
    return name


_Path = Annotated[LocalPath | None, BeforeValidator(_none_of_it)]
_Text = Annotated[str | None, BeforeValidator(_none_of_it)]


class TlsSettings(Settings):
    """`tls_server_config`."""

    cert_file: _Path = None
    key_file: _Path = None
    cert: _Text = None
    key: Annotated[SecretStr | None, BeforeValidator(_none_of_it)] = None
    client_auth_type: Annotated[str | None, BeforeValidator(_none_of_it), AfterValidator(_client_auth)] = None
    client_ca_file: _Path = None
    client_ca: _Text = None
    client_allowed_sans: tuple[str, ...] = ()
    min_version: Annotated[str, AfterValidator(_version)] = "TLS12"
    max_version: Annotated[str, AfterValidator(_version)] = "TLS13"
    cipher_suites: tuple[Annotated[str, AfterValidator(_suite)], ...] = ()
    prefer_server_cipher_suites: bool = True
    curve_preferences: tuple[Annotated[str, AfterValidator(_curve)], ...] = ()

    @field_validator("curve_preferences")
    @classmethod
    def _one_curve(cls, curves: tuple[str, ...]) -> tuple[str, ...]:
        if len(curves) > 1:
            raise ValueError("Python's TLS takes one curve. hint: name one, or leave it out to offer them all")
        return curves

    @model_validator(mode="after")
    def _fits_together(self) -> TlsSettings:
        if not self.enabled:
            return self
        if self.cert_file is None and self.cert is None:
            raise ValueError("cert_file is missing")
        if self.key_file is None and self.key is None:
            raise ValueError("key_file is missing")
        verified = self.client_auth_type in ("VerifyClientCertIfGiven", "RequireAndVerifyClientCert")
        if (self.client_ca_file or self.client_ca) and not verified:
            raise ValueError("client_ca_file says nothing without client_auth_type. hint: RequireAndVerifyClientCert")
        if self.client_allowed_sans and self.client_auth_type != "RequireAndVerifyClientCert":
            raise ValueError("client_allowed_sans takes client_auth_type: RequireAndVerifyClientCert")
        if self.min_version > self.max_version:
            raise ValueError(f"min_version {self.min_version} is above max_version {self.max_version}")
        return self

    @property
    def enabled(self) -> bool:
        """Whether this asks for TLS at all; an empty section does not."""
        named = (self.cert_file, self.cert, self.key_file, self.key, self.client_ca_file, self.client_ca)
        return any(value is not None for value in named) or self.client_auth_type is not None

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that is named."""
        return tuple(path for path in (self.cert_file, self.key_file, self.client_ca_file) if path)


class HttpSettings(Settings):
    """`http_server_config`."""

    http2: bool = True
    """Taken and without effect: clients that offer HTTP/2 go on with HTTP/1.1."""
    headers: dict[str, str] = Field(default_factory=dict)

    @field_validator("headers")
    @classmethod
    def _known(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if name not in _HEADERS:
                raise ValueError(f"{name} cannot be set. hint: one of {', '.join(_HEADERS)}")
            if _HEADERS[name] and value not in _HEADERS[name]:
                raise ValueError(f"{name} is {' or '.join(_HEADERS[name])}, not {value!r}")
            if not value.isprintable() or not value.isascii():
                raise ValueError(f"{name} has a character that headers cannot hold")
        return headers


class WebFile(Settings):
    """The whole file."""

    tls_server_config: TlsSettings = TlsSettings()
    http_server_config: HttpSettings = HttpSettings()
    basic_auth_users: dict[str, SecretStr] = Field(default_factory=dict)

    @field_validator("basic_auth_users")
    @classmethod
    def _hashed(cls, users: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, hashed in users.items():
            if not _HASH.fullmatch(hashed.get_secret_value()):
                raise ValueError(
                    f"what stands for {name!r} is not a bcrypt hash. hint: htpasswd -nBC 10 {name} | cut -d: -f2"
                )
        return users


@dataclass(frozen=True, slots=True)
class Protection:
    """What the file asks for, ready to be used."""

    tls: ssl.SSLContext | None
    users: Users
    headers: tuple[tuple[bytes, bytes], ...]


_Stamps = tuple[tuple[Path, tuple[int, int, int] | None], ...]


class LiveFile:
    """The file as it is now: read again, like the files that it names, as soon as one of them has changed.

    As in the exporter toolkit, a file that has become unusable closes the door rather than leave an old one open.
    """

    def __init__(self, path: Path) -> None:
        """ConfigError with every problem."""
        self._path = path.absolute()
        self._stamps: _Stamps = ()
        self._found: Protection | ConfigError
        self._tls: bool | None = None
        self._read()
        self._tls = self.current().tls is not None

    @property
    def tls(self) -> bool:
        """Whether this began with TLS; that cannot change."""
        return bool(self._tls)

    def current(self) -> Protection:
        """What the file asks for now. ConfigError where it cannot be used."""
        if self._stamps != _stamps(path for path, _ in self._stamps):
            self._read()
        if isinstance(self._found, ConfigError):
            raise self._found
        return self._found

    def context(self) -> ssl.SSLContext:
        """The TLS of a new connection. ssl.SSLError where there is none to be had."""
        try:
            found = self.current().tls
        except ConfigError:
            found = None
        if found is None:
            raise ssl.SSLError("the web configuration cannot be used")
        return found

    def _read(self) -> None:
        began = self._tls is not None
        was_broken = began and isinstance(self._found, ConfigError)
        self._stamps = _stamps([self._path])
        try:
            self._found = self._protection()
        except ConfigError as error:
            self._found = error
            if began:
                for problem in error.problems:
                    fields = {"file": error.file, "problem": problem}
                    _log.error("web configuration unusable; requests are refused", extra={"fields": fields})
        else:
            if was_broken:
                _log.info("web configuration usable again", extra={"fields": {"file": self._path}})

    def _protection(self) -> Protection:
        settings, document = read(self._path)
        asked = settings.tls_server_config
        self._stamps += _stamps(asked.files)  # taken before they are read, so that no change is missed
        if self._tls is not None and asked.enabled != self._tls:
            message = "is new, and TLS begins with a start" if asked.enabled else "is gone, and TLS ends with a stop"
            raise ConfigError((Problem("tls_server_config", message, hint="restart cloudspend"),), str(self._path))
        try:
            context = tls.context(asked) if asked.enabled else None
        except tls.Unusable as error:
            found = document.problem(("tls_server_config", error.key), error.message, error.hint)
            raise ConfigError((found.problem,), str(self._path)) from None
        hashes = {name: hashed.get_secret_value().encode() for name, hashed in settings.basic_auth_users.items()}
        headers = settings.http_server_config.headers
        return Protection(
            context, Users(hashes), tuple((name.lower().encode(), value.encode()) for name, value in headers.items())
        )


def read(path: Path) -> tuple[WebFile, Document]:
    """The settings in a file, paths relative to it. ConfigError with every problem there is."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise ConfigError((Problem("--web.config.file", f"cannot be read: {reason}"),), str(path)) from None
    document = parse(text, str(path))
    given = {} if document.value is None else document.value
    document = document.having(value=_without_nothing(given) if isinstance(given, dict) else given)
    models: dict[Any, Any] = {
        (): (WebFile,),
        ("tls_server_config",): (TlsSettings,),
        ("http_server_config",): (HttpSettings,),
    }
    translator = Translator(document, models, secrets.known(document, models))
    found = list(document.found)
    try:
        settings = WebFile.model_validate(document.value, context={"folder": path.parent.absolute()})
    except ValidationError as error:
        found += translator.problems(error.errors(include_url=False))
    if found:  # outside of the handler: pydantic's error repeats the values
        found.sort(key=lambda one: one.order)
        raise ConfigError(tuple(one.problem for one in found), str(path))
    return settings, document


def _without_nothing(value: dict[str, Any]) -> dict[str, Any]:
    """The mapping without keys that have no value, which Go takes for keys left out."""
    return {
        key: _without_nothing(inner) if isinstance(inner, dict) else inner
        for key, inner in value.items()
        if inner is not None
    }


def _stamps(paths: Any) -> _Stamps:
    return tuple((path, _stamp(path)) for path in paths)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
