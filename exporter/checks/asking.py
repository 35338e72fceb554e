"""Where a check gets its facts: one HTTP question, or the published files. Never a cloud.

The question is put on a bare socket: `http.client` and `urllib.request` take longer to import than all else here.
"""

from __future__ import annotations

import json
import re
import socket
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from exporter import __version__
from exporter.checks.nagios import Unanswerable

if TYPE_CHECKING:
    from ssl import SSLContext

PATH = "/api/v1/check"
_LARGEST = 64 << 20
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<user>[^/?#\s]*@)?"
    r"(?P<netloc>(?P<host>\[[0-9a-f:.]+\]|[^][/:@?#\s]+)(?::(?P<port>[0-9]{1,5}))?)(?P<path>/[!-~]*)?",
    re.IGNORECASE,
)


class Access(NamedTuple):
    """How to reach a server. Files are PEM."""

    timeout: float
    """Seconds for all of it."""
    user: str | None = None
    password: str | None = None
    ca: str | None = None
    """Authorities to trust instead of the system's."""
    certificate: str | None = None
    """Of this client; the key may be in the same file."""
    key: str | None = None
    insecure: bool = False
    """Take any certificate."""


def ask_exporter(url: str, access: Access) -> dict[str, Any]:
    """check.json of a running exporter, with `served`: what is true at this moment (`exporter.web.app`)."""
    status, body = get(url, PATH, access)
    if status == 503:  # it runs, and has nothing that it would vouch for
        reason, *rest = body.decode(errors="replace").splitlines() or [""]
        raise Unanswerable(f"the exporter has no bill to show: {reason}", rest)
    if status == 404:
        raise Unanswerable(f"{url} has no {PATH}. hint: is it a cloudspend of this version?")
    return _document(url, status, body)


def ask_alertmanager(url: str, query: str, access: Access) -> list[dict[str, Any]]:
    """The alerts of an Alertmanager, by its API v2 (0.16 and newer)."""
    status, body = get(url, f"/api/v2/alerts?{query}", access)
    if status == 404:
        raise Unanswerable(f"{url} has no /api/v2/alerts. hint: is it an Alertmanager?")
    found = _decoded(url, status, body)
    if not isinstance(found, list):
        raise Unanswerable(f"{url} answers something other than a list of alerts. hint: is it an Alertmanager?")
    return found


def read_snapshot(place: str) -> dict[str, Any]:
    """check.json of the newest snapshot, with `served` as the exporter would say it, but for what only it knows."""
    from pathlib import Path

    from exporter import snapshot
    from exporter.clock import Clock

    folder = Path(place)
    if (folder / "snapshots").is_dir():
        folder /= "snapshots"
    newest = snapshot.load(folder)
    if newest is None:
        raise Unanswerable(
            f"there is no snapshot in {folder}. hint: --snapshot is the folder 'snapshots' in store.path"
        )
    manifest = newest.manifest
    served: dict[str, Any] = {
        "now": Clock.from_environment(may_freeze=True).now().isoformat(),
        "made": manifest.made.isoformat(),
        "next_change_at": manifest.next_change_at.isoformat() if manifest.next_change_at else None,
        "expires_at": manifest.expires_at.isoformat() if manifest.expires_at else None,
        "sources": {},
    }
    return {**newest.check(), "served": served}


def get(url: str, path: str, access: Access) -> tuple[int, bytes]:
    """Status and body of a GET; `path` comes behind the path of `url`. Unanswerable where there is no whole answer."""
    place = _place(url)
    request = [
        f"GET {place.path}{path} HTTP/1.1",
        f"Host: {place.netloc}",
        f"User-Agent: check_cloudspend/{__version__}",
        "Accept: application/json",
        "Connection: close",
        *_authorization(access),
    ]
    encryption = _encryption(access) if place.secure else None
    until = time.monotonic() + access.timeout
    try:
        with socket.create_connection((place.host, place.port), access.timeout) as connection:
            speaking = encryption.wrap_socket(connection, server_hostname=place.host) if encryption else connection
            with speaking:
                speaking.sendall("\r\n".join([*request, "", ""]).encode("latin-1"))
                received = _received(speaking, until)
    except TimeoutError:
        raise Unanswerable(f"no answer from {url} within {access.timeout:g} s") from None
    except OSError as error:
        raise Unanswerable(f"cannot reach {url}: {_why(error)}") from error
    return _parsed(url, received)


class _Place(NamedTuple):
    secure: bool
    netloc: str
    host: str
    port: int
    path: str


def _place(url: str) -> _Place:
    # urllib.parse takes longer to import than the whole answer takes to arrive.
    found = _URL.fullmatch(url)
    if found and found["user"]:
        raise Unanswerable("the address has a user in it. hint: --user and --password-file")
    if found is None or not 0 < int(found["port"] or 1) < 1 << 16:
        raise Unanswerable(f"{url!r} is not an address such as http://exporter:9753")
    secure = found["scheme"].lower() == "https"
    port = int(found["port"] or (443 if secure else 80))
    return _Place(secure, found["netloc"], found["host"].strip("[]"), port, (found["path"] or "").rstrip("/"))


def _authorization(access: Access) -> list[str]:
    if access.user is None:
        return []
    from base64 import b64encode

    credentials = f"{access.user}:{access.password or ''}"
    return [f"Authorization: Basic {b64encode(credentials.encode()).decode()}"]


def _encryption(access: Access) -> SSLContext:
    import ssl

    try:
        context = ssl.create_default_context(cafile=access.ca)
        if access.certificate:
            context.load_cert_chain(access.certificate, access.key)
    except OSError as error:
        raise Unanswerable(f"--ca-file, --cert-file or --key-file cannot be used: {_why(error)}") from error
    if access.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _received(connection: socket.socket, until: float) -> bytes:
    received = bytearray()
    while True:
        connection.settimeout(max(until - time.monotonic(), 0.001))
        piece = connection.recv(1 << 18)
        if not piece:
            return bytes(received)
        received += piece
        if len(received) > _LARGEST:
            raise Unanswerable(f"the answer is larger than {_LARGEST >> 20} MiB")


def _parsed(url: str, received: bytes) -> tuple[int, bytes]:
    """Status and body of a response, RFC 9112."""
    head, gap, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if not gap or not words[0].startswith("HTTP/1.") or len(words) < 2 or not words[1].isdecimal():
        raise Unanswerable(f"{url} does not speak HTTP, or went away" if received else f"{url} hung up without a word")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = _joined(url, body)
    elif len(body) < int(headers.get("content-length") or 0):
        raise Unanswerable(f"the answer of {url} is cut off")
    return int(words[1]), body


def _joined(url: str, chunks: bytes) -> bytes:
    body = bytearray()
    while True:
        size, gap, rest = chunks.partition(b"\r\n")
        length = int(size.split(b";")[0], 16) if gap else -1
        if length == 0:
            return bytes(body)
        if length < 0 or len(rest) < length + 2:
            raise Unanswerable(f"the answer of {url} is cut off")
        body += rest[:length]
        chunks = rest[length + 2 :]


def _document(url: str, status: int, body: bytes) -> dict[str, Any]:
    found = _decoded(url, status, body)
    if not isinstance(found, dict):
        raise Unanswerable(f"{url} answers something other than a bill. hint: is it a cloudspend?")
    return found


def _decoded(url: str, status: int, body: bytes) -> Any:
    if status == 401:
        raise Unanswerable(f"{url} wants a user and a password, or others. hint: --user and --password-file")
    if status != 200:
        said = body.decode(errors="replace").splitlines()[:1]
        raise Unanswerable(f"{url} answers {status}" + (f": {said[0][:200]}" if said else ""))
    try:
        return json.loads(body)
    except ValueError:
        raise Unanswerable(f"{url} answers something other than JSON") from None


def _why(error: OSError) -> str:
    """What went wrong, without numbers and tuples."""
    verified = getattr(error, "verify_message", "")
    if verified:
        return f"its certificate is not trusted: {verified}. hint: --ca-file"
    return error.strerror or str(error)
