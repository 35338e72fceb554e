"""Remote write: series with times, to Prometheus, VictoriaMetrics, Mimir, Thanos or Cortex.

Version 1.0 of the protocol (https://prometheus.io/docs/specs/prw/remote_write_spec/): one protobuf message of three
kinds, in snappy's block format. Both are written here, since a library for either is larger than what it would do:

    message WriteRequest { repeated TimeSeries timeseries = 1; }
    message TimeSeries   { repeated Label labels = 1; repeated Sample samples = 2; }
    message Label        { string name = 1; string value = 2; }
    message Sample       { double value = 1; int64 timestamp = 2; }     milliseconds

One request is under way at a time, so a receiver is never asked for more than it takes, and days arrive in order.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import TYPE_CHECKING, Self

from exporter import __version__
from exporter.config.remote_write import RemoteWriteSettings
from exporter.errors import NotifyError
from exporter.log import masked
from exporter.metrics.history import Series

if TYPE_CHECKING:
    import requests

SAMPLES = 5000
"""Samples of one request: about 150 kB. Receivers refuse requests of some megabytes."""

_ATTEMPTS = 6
_LONGEST_REST = 60.0  # seconds, whatever Retry-After says
_SAID = 300  # characters of an answer that a message repeats
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_LITERAL = 1 << 16

# What receivers say of samples that are older than they take, in lower case: Prometheus 2 (with status 500 even) and 3,
# Mimir, Cortex, Thanos.
_OLD = ("out of bounds", "too old", "out of order", "out-of-order", "too-old", "outside the time window")
_OTHER_VALUE = ("duplicate sample", "duplicate-timestamp", "new value for duplicate", "duplicate timestamp")

Rest = Callable[[float], object]
"""Waits so many seconds; an answer that is true says that there is no time left for another try."""


class Dropped(NotifyError):
    """The receiver does not take these samples, and never will; others may pass."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retry=False)


class TooOld(Dropped):
    """Among these samples there are some that lie before what the receiver takes."""


class Sender:
    """A connection to a receiver; close it, or use it in a `with`."""

    def __init__(self, receiver: RemoteWriteSettings, rest: Rest = time.sleep) -> None:
        self.receiver = receiver
        self._rest = rest
        self._session: requests.Session | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        if self._session is not None:
            self._session.close()

    def send(self, body: bytes) -> None:
        """Hand over one request, trying again for a while where that can help.

        TooOld or Dropped where the receiver does not take these samples; any other NotifyError ends the whole work.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._post(body)
            except _Passing as error:
                wait = 2.0 ** (attempt - 1) if error.retry_after is None else error.retry_after
                if attempt == _ATTEMPTS or self._rest(min(wait, _LONGEST_REST)):
                    raise NotifyError(f"{error}; what is left is written at the next try", retry=True) from None
            else:
                return

    def _post(self, body: bytes) -> None:
        import requests

        to = self.receiver
        if self._session is None:
            self._session = requests.Session()
            self._session.trust_env = False  # .netrc would give a password of its own to the request
            self._session.headers.update(_headers(to))
        user, password = to.username, to.password
        try:
            answer = self._session.post(
                to.url,
                data=body,
                auth=(user, password.get_secret_value()) if user and password else None,
                verify=str(to.ca_file) if to.ca_file else True,
                timeout=to.timeout.total_seconds(),
                allow_redirects=False,  # a POST that is sent elsewhere becomes a GET
            )
        except requests.exceptions.SSLError as error:
            raise _refused(to, f"its certificate is not trusted: {_reason(error)}", "ca_file") from None
        except (requests.Timeout, requests.ConnectionError) as error:
            raise _Passing(f"{to.url} cannot be reached: {_reason(error)}") from None
        except (requests.RequestException, OSError, ValueError) as error:
            raise _refused(to, _reason(error)) from None
        _judge(to, answer)


class _Passing(Exception):
    """Another try may help."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


def _headers(to: RemoteWriteSettings) -> dict[str, str]:
    return {
        "Content-Type": "application/x-protobuf",
        "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Write-Version": "0.1.0",
        "User-Agent": f"cloudspend/{__version__}",
        **({"Authorization": f"Bearer {to.bearer_token.get_secret_value()}"} if to.bearer_token else {}),
        **({"X-Scope-OrgID": to.tenant} if to.tenant else {}),
    }


def _judge(to: RemoteWriteSettings, answer: requests.Response) -> None:
    """Nothing for what was taken; else the error that fits."""
    status = answer.status_code
    if status // 100 == 2:
        return
    said = masked(answer.text.strip()[:_SAID]) or answer.reason or "no reason given"
    told = f"{to.url} answered {status}: {said}"
    words = said.lower()
    if any(word in words for word in _OTHER_VALUE):
        raise Dropped(
            f"{told}. hint: it holds another amount of the same series and time: two exporters write one source, or"
            " the data folder was lost; delete cloudspend_usage_cost there and write it --from-scratch"
        )
    # Prometheus 2 answers 500 to samples that are too old: a sender that went by the status would try for ever.
    if any(word in words for word in _OLD):
        raise TooOld(
            f"{told}. hint: it takes no samples that are so old: raise storage.tsdb.out_of_order_time_window"
            " (Prometheus), or out_of_order_time_window of the tenant (Mimir)"
        )
    if status in _TRY_AGAIN or status >= 500:
        raise _Passing(told, _retry_after(answer.headers.get("Retry-After", "")))
    hints = {
        401: "username and password, or bearer_token",
        403: "username and password, or bearer_token",
        404: "Prometheus takes it at /api/v1/write, with --web.enable-remote-write-receiver",
    }
    if status in (400, 409, 422):
        raise Dropped(told)
    raise NotifyError(f"{told}. hint: {hints.get(status, 'is this a remote write receiver?')}", retry=False)


def _refused(to: RemoteWriteSettings, why: str, hint: str = "") -> NotifyError:
    return NotifyError(f"{to.url}: {why}{f'. hint: {hint}' if hint else ''}", retry=False)


def _reason(error: BaseException) -> str:
    """The innermost reason that a library gives, in one line."""
    inner: BaseException | object = error
    while isinstance(inner, BaseException) and (
        deeper := getattr(inner, "reason", None) or next(iter(inner.args), None)
    ):
        inner = deeper
    return masked(str(inner).splitlines()[0] if str(inner) else type(error).__name__)[:_SAID]


def _retry_after(text: str) -> float | None:
    """Seconds, from seconds or a date (RFC 9110)."""
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


def requests_of(name: str, labels: Sequence[str], series: Iterable[Series]) -> Iterator[tuple[bytes, list[Series]]]:
    """Series as request bodies of some 5,000 samples, each with what is in it. `labels` name those of each series."""
    encode = _Encoder(name, labels)
    parts: list[bytes] = []
    inside: list[Series] = []
    samples = 0
    for one in series:
        parts.append(encode(one))
        inside.append(one)
        samples += len(one.costs)
        if samples >= SAMPLES:
            yield snappy(b"".join(parts)), inside
            parts, inside, samples = [], [], 0
    if inside:
        yield snappy(b"".join(parts)), inside


class _Encoder:
    """Series to TimeSeries messages; what they share is encoded once."""

    def __init__(self, name: str, labels: Sequence[str]) -> None:
        places = {"__name__": -1} | {label: place for place, label in enumerate(labels)}
        self._order = [(_text(1, label), places[label]) for label in sorted(places)]  # receivers want them in order
        self._pairs: dict[tuple[int, str], bytes] = {}
        self._instants: dict[int, bytes] = {}
        self._name = name

    def __call__(self, one: Series) -> bytes:
        parts = [self._label(key, place, one.labels[place] if place >= 0 else self._name) for key, place in self._order]
        pack = _DOUBLE.pack
        for instant, cost in zip(one.instants, one.costs, strict=True):
            at = self._instants.get(instant) or self._instant(instant)
            parts.append(b"".join((at[0:3], pack(cost), at[3:])))
        return _message(1, b"".join(parts))

    def _label(self, key: bytes, place: int, value: str) -> bytes:
        found = self._pairs.get((place, value))
        if found is None:
            found = self._pairs[place, value] = _message(1, key + _text(2, value))
        return found

    def _instant(self, instant: int) -> bytes:
        """What stands around the value of a sample: its length and tag before it, the time behind it."""
        time_ = b"\x10" + _varint(instant * 1000)
        found = self._instants[instant] = b"\x12" + _varint(9 + len(time_)) + b"\x09" + time_
        return found


_DOUBLE = struct.Struct("<d")


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _message(place: int, body: bytes) -> bytes:
    return _varint(place << 3 | 2) + _varint(len(body)) + body


def _text(place: int, text: str) -> bytes:
    return _message(place, text.encode())


def snappy(content: bytes) -> bytes:
    """Content in snappy's block format, made of literals alone: valid, and as long as it was.

    https://github.com/google/snappy/blob/main/format_description.txt
    """
    parts = [_varint(len(content))]
    for start in range(0, len(content), _LITERAL):
        chunk = content[start : start + _LITERAL]
        parts += [b"\xf4", struct.pack("<H", len(chunk) - 1), chunk]  # 61 << 2: two bytes of length less one
    return b"".join(parts)
