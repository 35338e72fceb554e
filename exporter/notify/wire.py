"""One request over HTTP, as notifications need it: a time limit, no redirects, little memory, no secrets in errors.

The standard library is enough for it, and is in the daemon already.
"""

from __future__ import annotations

import base64
import http.client
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final

from exporter import __version__
from exporter.errors import NotifyError, Refused, Rejected, TooMany, Unreachable

_LONGEST_ANSWER = 64 * 1024
_LONGEST_REST = timedelta(hours=12)
_QUOTED: Final = 120

_TOO_MANY = (425, 429)
_OURS = (401, 402, 403, 404, 405, 407, 410)
_THE_MESSAGE = (400, 406, 409, 411, 412, 413, 414, 415, 422)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    text: str
    type: str
    """Content type, without its parameters."""
    retry_after: timedelta | None = None
    date: datetime | None = None
    """The other side's clock, UTC."""


class Post:
    """Sends JSON to one address."""

    def __init__(self, what: str, timeout: timedelta, ca_file: Path | None = None) -> None:
        """`what` names the other side in errors, in place of an address that may be a secret."""
        self.what = what
        self._timeout = timeout.total_seconds()
        self._ca_file = ca_file
        self._opener: urllib.request.OpenerDirector | None = None

    def __call__(self, url: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        """POST `body`. Refused where the certificate is not trusted, Unreachable where there is no whole answer."""
        request = urllib.request.Request(url, data=body, method="POST")  # noqa: S310  the configuration takes http(s) alone
        given = {"Content-Type": "application/json", "User-Agent": f"cloudspend/{__version__}", **(headers or {})}
        for name, value in given.items():
            request.add_header(name, value)
        deadline = time.monotonic() + 3 * self._timeout
        try:
            with self._opened(request) as answer:
                return _answer(answer.status, answer.headers, _body(answer, deadline))
        except urllib.error.HTTPError as error:
            with error:
                return _answer(error.code, error.headers, _body(error, deadline))
        except urllib.error.URLError as error:
            raise self._unreachable(error.reason) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._unreachable(error) from None

    def _opened(self, request: urllib.request.Request) -> Any:
        if self._opener is None:
            try:
                context = ssl.create_default_context(cafile=str(self._ca_file) if self._ca_file else None)
            except (OSError, ssl.SSLError) as error:
                raise Refused(f"{self.what}: cannot read {self._ca_file}: {error}") from None
            self._opener = urllib.request.build_opener(_NoRedirect, urllib.request.HTTPSHandler(context=context))
        return self._opener.open(request, timeout=self._timeout)

    def _unreachable(self, cause: object) -> NotifyError:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Refused(
                f"{self.what}: its certificate is not trusted: {cause.verify_message}",
                hint="name the authority that signed it in ca_file",
            )
        if isinstance(cause, TimeoutError):
            return Unreachable(f"{self.what}: no answer within {self._timeout:g} s")
        said = (cause.strerror or str(cause)) if isinstance(cause, OSError) else type(cause).__name__
        return Unreachable(f"{self.what}: cannot be reached: {said}")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A message that followed a redirect would go to whoever the redirect names, signature and all."""

    def redirect_request(self, *_: Any) -> None:
        return None


def judged(what: str, answer: Answer, hint: str = "") -> None:
    """Raise what an HTTP status other than 2xx means."""
    status, said = answer.status, f"{what}: answered {answer.status}{_quoted(answer)}"
    if 200 <= status < 300:
        return
    if status in _TOO_MANY:
        raise TooMany(said, retry_after=answer.retry_after)
    if status in _OURS:
        raise Refused(said, hint=hint or "check the address and the credentials of the channel")
    if 300 <= status < 400:
        raise Refused(said, hint="it redirects, and messages are not sent after it: give the final address")
    if status in _THE_MESSAGE:
        raise Rejected(said)
    raise Unreachable(said, retry_after=answer.retry_after)


def basic(username: str, password: str) -> str:
    """The value of an Authorization header."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def _quoted(answer: Answer) -> str:
    """The beginning of what was said, where it is for people."""
    text = " ".join(answer.text.split())[:_QUOTED]
    return f": {text}" if text and answer.type != "text/html" else ""


def _body(answer: Any, deadline: float) -> bytes:
    found = b""
    while len(found) < _LONGEST_ANSWER:
        if time.monotonic() > deadline:  # byte after byte, each within the time limit
            raise TimeoutError
        part: bytes = answer.read1(_LONGEST_ANSWER) if hasattr(answer, "read1") else answer.read(_LONGEST_ANSWER)
        if not part:
            break
        found += part
    return found


def _answer(status: int, headers: Any, body: bytes) -> Answer:
    date = _instant(headers.get("Date"))
    return Answer(
        status=status,
        text=body.decode("utf-8", "replace"),
        type=(headers.get("Content-Type") or "").partition(";")[0].strip().lower(),
        retry_after=_rest(headers.get("Retry-After"), date),
        date=date,
    )


def _rest(text: str | None, date: datetime | None) -> timedelta | None:
    """Retry-After: seconds, or an instant by the other side's clock."""
    if not text:
        return None
    if text.strip().isdecimal():
        return min(timedelta(seconds=min(int(text), 10**6)), _LONGEST_REST)
    until = _instant(text)
    if until is None:
        return None
    return min(max(until - (date or datetime.now(UTC)), timedelta(0)), _LONGEST_REST)


def _instant(text: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime(text) if text else None
    except ValueError:
        return None
    return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC) if found else None
