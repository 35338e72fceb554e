"""What every JSON billing API needs: exact numbers, bounded retries, our errors, no secret in any sentence.

    page = get_json(url, Page, meter=meter, operation="billing.read", token=options.token, params={"month": "2024-09"})

`get_json` asks for one page and translates every failure into a SourceError; `pages` guards the loop over pages;
`reading` turns what does not have the expected shape into BadData. Secrets travel as `SecretStr`: they are unwrapped
in the moment of asking, and from then on stay out of errors and out of the log.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from urllib.parse import quote, quote_plus, unquote_plus, urlsplit

from pydantic import SecretStr, TypeAdapter, ValidationError

from exporter.errors import AccessDenied, BadData, SourceError, Throttled, Unavailable
from exporter.log import keep_secret, masked
from exporter.providers import Meter

if TYPE_CHECKING:
    import requests

Text = str | SecretStr
Shape = TypeVar("Shape")
Page = TypeVar("Page")
Cursor = TypeVar("Cursor", bound=Hashable)

_PASSING = frozenset({408, 425, 500, 502, 503, 504})
_EXCERPT = 160
_LONGEST_REST = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Patience:
    """How often to ask, and how long to wait in between: 1, 2, 4 seconds, or what Retry-After says up to `longest`.

    Longer rests are the poller's: it comes back at `retry_after`; the worker does not sleep for minutes.
    """

    tries: int = 4
    first: float = 1.0
    longest: float = 30.0
    sleep: Callable[[float], None] = time.sleep

    def wait(self, attempt: int, error: SourceError) -> float | None:
        """Seconds between this attempt (the first is 1) and the next, or None where it is time to give up."""
        asked = error.retry_after.total_seconds() if error.retry_after else 0.0
        if attempt >= self.tries or asked > self.longest:
            return None
        return max(asked, min(self.first * 2.0 ** (attempt - 1), self.longest))


PATIENCE = Patience()
"""The patience of `get_json` unless told; tests put one here that does not sleep."""


class Redirected(Unavailable):
    """The address sends elsewhere: it has moved, or wants a login."""


class WebPage(BadData):
    """A page for people came where JSON was asked for."""


def get_json(
    url: str,
    shape: type[Shape],
    *,
    meter: Meter,
    operation: str,
    permission: str = "",
    token: SecretStr | None = None,
    headers: Mapping[str, Text] | None = None,
    params: Mapping[str, Text | None] | None = None,
    timeout: float = 30.0,
    charge: Decimal = Decimal(0),
    patience: Patience | None = None,
) -> Shape:
    """Ask for one JSON document of this shape: a pydantic model, `dict[str, Any]`, or `object` for any.

    Numbers reach the shape as `int` or `Decimal`, digit for digit.
    Every attempt is metered as `operation`; `permission`, where it has another name, is what a denial's hint asks
    for. `token` becomes a bearer token; params that are None stay out; `timeout` is in seconds without a byte;
    `charge` is the price of one request in USD.
    Raises AccessDenied (401, 403, 407), Throttled (429), Unavailable (5xx, 404, redirects, network) or BadData (no
    JSON, another shape, a body cut off, any other status); what may pass by itself is asked again first. An answer
    that the meter has kept from a recent try is not asked for again.
    """
    call = _Call(url, permission or operation, token, headers or {}, params or {}, timeout)

    def asked() -> bytes:
        return _insist(call, lambda: meter.request(operation, charge), patience or PATIENCE)

    document = call.document(meter.page(call.question(), asked))
    with reading(f"the answer of {call}"):
        return TypeAdapter(shape).validate_python(document)


def _insist(call: _Call, metered: Callable[[], None], patience: Patience) -> bytes:
    """The answer to a call, asked again while the failure may pass and patience lasts."""
    attempt = 1
    while True:
        metered()
        answer = call.ask()
        if isinstance(answer, bytes):
            return answer
        wait = patience.wait(attempt, answer.error) if answer.passing else None
        if wait is None:
            raise answer.error
        patience.sleep(wait)
        attempt += 1


def pages(
    read: Callable[[Cursor], Page], first: Cursor, following: Callable[[Page], Cursor | None], most: int = 10_000
) -> Iterator[Page]:
    """Every page: `read(first)`, then as long as `following(page)` names another one (None or empty ends it).

    BadData where a cursor comes a second time, and past `most` pages: going on would never end, and stopping without
    a word would lose money.
    """
    cursor, seen = first, {first}
    while True:
        page = read(cursor)
        yield page
        after = following(page)
        if not after:
            return
        if after in seen:
            raise BadData(f"page {len(seen)} names a next page that was read before; the paging goes in circles")
        if len(seen) >= most:
            raise BadData(f"the answer does not end after {most} pages")
        seen.add(after)
        cursor = after


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Inside, whatever does not have the expected shape is BadData: a missing key, a wrong type, no date, no amount."""
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        problem = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    except KeyError as error:
        problem = f"there is no {error}"
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError) as error:
        problem = f"{type(error).__name__}: {error}"
    else:
        return
    # `from None`: the original may quote what must not be in a traceback.
    raise BadData(f"{what} cannot be read: {_excerpt(problem)}") from None


class _Failure(NamedTuple):
    error: SourceError
    passing: bool = False
    """Whether the same request may go better in a moment."""


@dataclass(frozen=True, slots=True, repr=False)
class _Call:
    """One GET, and how to speak of it."""

    url: str
    permission: str
    token: SecretStr | None
    headers: Mapping[str, Text]
    params: Mapping[str, Text | None]
    timeout: float

    def __str__(self) -> str:
        """The address without user, password and query, where secrets hide."""
        return re.sub(r"//[^/]*@", "//", self.url).partition("?")[0]

    def question(self) -> dict[str, object]:
        """What decides the answer, secrets apart: they print as asterisks."""
        given = (self.params, self.headers)
        params, headers = ({name: str(value) for name, value in each.items() if value is not None} for each in given)
        return {"url": self.url, "params": params, "headers": headers}

    def ask(self) -> bytes | _Failure:
        """Make the request: the whole body of a good answer, or what went wrong."""
        import requests

        logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)  # its debug lines spell out query strings
        body = bytearray()
        try:
            with requests.get(
                self.url,
                params={name: _plain(value) for name, value in self.params.items() if value is not None},
                headers={"Accept": "application/json"} | {name: _plain(value) for name, value in self.headers.items()},
                auth=self._authorise,
                timeout=self.timeout,
                allow_redirects=False,  # they are not metered, and would carry our headers to another host
                stream=True,
            ) as response:
                for chunk in response.iter_content(1 << 10):
                    body += chunk
        except requests.RequestException as error:
            return self._broken(error, bytes(body))
        except ValueError:  # http.client's, which quotes the header; a token read with its line break, for one
            hint = "look for a line break or a stray letter in them"
            return _Failure(AccessDenied(f"the credentials for {self} cannot travel in a header", hint=hint))
        return bytes(body) if response.status_code == 200 else self._refused(response, bytes(body))

    def document(self, body: bytes) -> object:
        """The body as JSON; BadData where it is none."""
        try:
            return json.loads(body, parse_float=Decimal, parse_int=int, parse_constant=_no_number)
        except (ValueError, ArithmeticError, RecursionError):
            kind = WebPage if body.lstrip().startswith(b"<") else BadData
        problem = kind(f"the answer of {self} is not JSON; {self._begins(body)}")
        raise problem  # out here, where no traceback drags the body along

    def _authorise(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the token. Even without one: a request that has an `auth` takes nothing out of ~/.netrc."""
        if self.token:
            request.headers["Authorization"] = f"Bearer {_plain(self.token)}"
        return request

    def _refused(self, response: requests.Response, body: bytes) -> _Failure:
        """What a status other than 200 means."""
        status, rest = response.status_code, _rest(response)
        said = f"{self} answered {status}; {self._begins(body)}"
        if status in (401, 403, 407):
            hint = f"the credentials must allow {self.permission}"
            return _Failure(AccessDenied(said, hint=hint if status == 403 else f"{hint}; they may have expired"))
        if status == 429:
            return _Failure(Throttled(said, hint="poll less often (`poll_every`)", retry_after=rest), passing=True)
        if status in _PASSING:
            return _Failure(Unavailable(said, retry_after=rest), passing=True)
        if 300 <= status < 400 or status in (404, 410):
            kind = Redirected if status < 400 else Unavailable
            return _Failure(kind(said, hint="check `url`; an expired login may redirect too"))
        return _Failure(Unavailable(said) if status >= 500 else BadData(said))

    def _broken(self, error: requests.RequestException, body: bytes) -> _Failure:
        """What an answer that did not arrive, or not whole, means. `str(error)` is not used: it quotes the query."""
        import requests

        if isinstance(error, (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError)):
            begins = f"; {self._begins(body)}" if body else ""
            return _Failure(BadData(f"the answer of {self} is cut off{begins}"), passing=True)
        if isinstance(error, requests.Timeout):
            return _Failure(Unavailable(f"{self} sent nothing for {self.timeout:g} s"), passing=True)
        if isinstance(error, requests.exceptions.SSLError):
            hint = "check the certificate; for a CA of your own set REQUESTS_CA_BUNDLE"
            return _Failure(Unavailable(f"no trusted connection to {self}: {cause_of(error)}", hint=hint))
        passing = isinstance(error, requests.ConnectionError)
        return _Failure(Unavailable(f"cannot reach {self}: {cause_of(error)}", hint="check `url`"), passing)

    def _begins(self, body: bytes) -> str:
        """How a body begins, for the reader of an error; without the values of the address' own query."""
        words = body.decode(errors="replace")
        for pair in urlsplit(self.url).query.split("&"):
            for value in (pair.partition("=")[2], unquote_plus(pair.partition("=")[2])):
                words = words.replace(value, "<hidden>") if len(value) >= 4 else words
        return f"it begins {_excerpt(words)!r}" if body else "it is empty"


def _plain(value: Text) -> str:
    """The text as it travels. Secrets are masked in this process from now on, also as part of an address."""
    if isinstance(value, str):
        return value
    secret = value.get_secret_value()
    keep_secret(secret)
    keep_secret(quote(secret, safe=""))
    keep_secret(quote_plus(secret))
    return secret


def _excerpt(words: str) -> str:
    words = " ".join(masked(words).split())
    return words if len(words) <= _EXCERPT else f"{words[:_EXCERPT]}…"


def _no_number(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON")  # Python would take NaN and Infinity


def _rest(response: requests.Response) -> timedelta | None:
    """Retry-After in seconds or as a date (RFC 9110, 10.2.3), which counts from the server's own clock if it says."""
    text = response.headers.get("Retry-After", "")
    try:
        if text.isdecimal():
            return timedelta(seconds=min(int(text), _LONGEST_REST.total_seconds()))
        now = response.headers.get("Date")
        since = parsedate_to_datetime(now) if now else datetime.now(UTC)
        return min(max(parsedate_to_datetime(text) - since, timedelta(0)), _LONGEST_REST)
    except (ValueError, TypeError):
        return None


def cause_of(error: BaseException) -> str:
    """The operating system's own word for what went wrong, from deep inside."""
    inner: BaseException | None = error
    while inner:
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror
        inner = inner.__cause__ or inner.__context__
    return type(error).__name__
