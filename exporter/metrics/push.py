"""Pushing what a scrape would show: to a Pushgateway, or into a file for node_exporter's textfile collector.

Both take the Prometheus text format and refuse timestamps, and neither forgets by itself: what was pushed last stays
until it is replaced or deleted. https://github.com/prometheus/pushgateway#command-line, #put-method.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from exporter import __version__
from exporter.errors import NotifyError
from exporter.log import masked
from exporter.metrics.catalog import CATALOG
from exporter.metrics.exposition import TEXT
from exporter.store.files import storing, write_durably

JOB = "cloudspend"
"""The `job` label of what is pushed, unless said."""

_ATTEMPTS = 4
_LONGEST_REST = 60.0  # seconds, whatever Retry-After says
_SAID = 300  # characters of an answer that a message repeats
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})

Rest = Callable[[float], object]
"""Waits so many seconds; an answer that is true says that there is no time left for another try."""


def grouping(pairs: Iterable[str]) -> dict[str, str]:
    """Grouping labels from `name=value` texts. ValueError, a sentence, for what the gateway would take wrongly."""
    taken = {label for spec in CATALOG.values() for label in spec.labels}
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"{pair!r} is not NAME=VALUE")
        if not _LABEL.fullmatch(name) or name.startswith("__"):
            raise ValueError(f"{name!r} is not the name of a label. hint: letters, digits and _, a letter first")
        if name == "job":
            raise ValueError("job is given by --job")
        if name in taken:
            # The gateway writes the grouping labels over those of the metrics, without a word.
            raise ValueError(
                f"{name!r} is a label of the bill, and the gateway would write {value!r} over it in every series."
                " hint: instance, or a name of your own such as team_of_exporter"
            )
        if name in found:
            raise ValueError(f"{name!r} is given twice")
        found[name] = value
    return found


@dataclass(frozen=True)
class Access:
    """How to get into a gateway."""

    user: str = ""
    password: str = ""
    ca_file: Path | None = None
    """A PEM file of certificate authorities to trust instead of the usual ones."""
    cert_file: Path | None = None
    key_file: Path | None = None
    timeout: float = 30.0
    """Seconds to wait for a connection, and for each part of an answer."""


class Pushgateway:
    """One group of metrics at a Pushgateway."""

    def __init__(
        self,
        url: str,
        job: str = JOB,
        labels: Mapping[str, str] | None = None,
        access: Access | None = None,
        rest: Rest = time.sleep,
    ) -> None:
        """ValueError, a sentence, for a URL or a job that cannot be."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be a URL that begins with http:// or https://")
        if parts.username is not None or parts.password is not None:
            raise ValueError("must not hold a user or a password. hint: --user and --password-file")
        if parts.query or parts.fragment:
            raise ValueError("must be the root of the gateway, without ? and #")
        if not job:
            raise ValueError("a job must have a name")
        root = url.rstrip("/").removesuffix("/metrics")
        pairs = [("job", job), *sorted((labels or {}).items())]
        self.url = "/".join([root, "metrics", *(_segment(name, value) for name, value in pairs)])
        """Where the group is."""
        self._access = access or Access()
        self._rest = rest

    def put(self, body: bytes) -> None:
        """Replace the whole group by these metrics. NotifyError where the gateway does not take them."""
        self._ask("PUT", body)

    def delete(self) -> None:
        """Remove the group; its series end with the next scrape. NotifyError where the gateway does not answer."""
        self._ask("DELETE", None)

    def _ask(self, method: str, body: bytes | None) -> None:
        """Ask until it is done, is refused, or has failed four times."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._asked(method, body)
            except _Passing as error:
                if attempt == _ATTEMPTS:
                    raise NotifyError(f"{error} ({_ATTEMPTS} times)", retry=True) from None
                wait = 2.0 ** (attempt - 1) if error.retry_after is None else error.retry_after
                if self._rest(min(wait, _LONGEST_REST)):
                    raise NotifyError(str(error), retry=True) from None
            else:
                return

    def _asked(self, method: str, body: bytes | None) -> None:
        import requests

        access = self._access
        client = (str(access.cert_file), str(access.key_file)) if access.cert_file and access.key_file else None
        try:
            answer = requests.request(
                method,
                self.url,
                data=body,
                headers={"Content-Type": TEXT, "User-Agent": f"cloudspend/{__version__}"},
                auth=(access.user, access.password) if access.user else None,
                cert=client or (str(access.cert_file) if access.cert_file else None),
                # Given with the request, or REQUESTS_CA_BUNDLE of the environment would win.
                verify=str(access.ca_file) if access.ca_file else True,
                timeout=access.timeout,
                # A redirected PUT comes out as a GET, and as a success.
                allow_redirects=False,
            )
        except requests.exceptions.SSLError as error:
            message = f"{self.url}: TLS: {_cause(error)}. hint: --ca-file names who signed its certificate"
            raise NotifyError(message, retry=False) from None
        except (requests.exceptions.InvalidURL, OSError) as error:
            # RequestException is an OSError; so is a certificate file that is not there.
            if not isinstance(error, requests.exceptions.RequestException):
                raise NotifyError(f"{self.url}: {_cause(error)}", retry=False) from None
            raise _Passing(f"{self.url}: cannot be reached: {_cause(error)}") from None
        self._judge(answer.status_code, answer.text, answer.headers)

    def _judge(self, status: int, text: str, headers: Mapping[str, str]) -> None:
        """Nothing for a push that was taken, else the error that says why it was not."""
        if 200 <= status < 300:
            return
        said = " ".join(masked(text).split())[:_SAID]
        words = f"{self.url}: answered {status}" + (f": {said}" if said else "")
        if status in _TRY_AGAIN:
            after = headers.get("Retry-After", "")
            raise _Passing(words, float(after) if after.isdecimal() else None)
        hints = {
            401: "--user and --password-file",
            403: "the user may not push here",
            404: "--pushgateway takes the root of the gateway, with its --web.route-prefix if it has one",
            405: "--pushgateway takes the root of the gateway",
            413: "a proxy in front of the gateway limits the size of a body",
        }
        if 300 <= status < 400:
            raise NotifyError(f"{words}. hint: push to {headers.get('Location', 'where it leads')}", retry=False)
        raise NotifyError(f"{words}. hint: {hints[status]}" if status in hints else words, retry=False)


def write_textfile(path: Path, body: bytes) -> None:
    """Put the metrics in the place of a file, whole and synced, so that no scrape sees half of it.

    The draft beside it does not end in `.prom`, so the collector passes it over. StoreError where it cannot be.
    """
    with storing(path):
        write_durably(path, body)


class _Passing(Exception):
    """Something that may be gone at the next try."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


def _segment(name: str, value: str) -> str:
    """A grouping label as part of a path: in base64 where the value is empty or holds a slash."""
    if value and "/" not in value:
        return f"{name}/{quote(value, safe='')}"
    return f"{name}@base64/{base64.urlsafe_b64encode(value.encode()).decode() or '='}"


def _cause(error: BaseException) -> str:
    """What went wrong at the bottom of a chain of wrapped errors, in a few words."""
    for _ in range(10):  # deep enough for requests over urllib3 over a socket
        error = error.__cause__ or error.__context__ or _reason(error) or error
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(words.split())[:_SAID] or type(error).__name__


def _reason(error: BaseException) -> BaseException | None:
    """The error inside of one of urllib3's, which does not chain them all."""
    inner = getattr(error, "reason", None) or (error.args[0] if error.args else None)
    return inner if isinstance(inner, BaseException) else None
