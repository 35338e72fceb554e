"""Pushing over real HTTP: what is sent where, what is tried again, and what is said of the rest."""

from __future__ import annotations

import base64
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from exporter.errors import NotifyError, StoreError
from exporter.metrics import push
from exporter.metrics.catalog import CATALOG
from exporter.metrics.push import Access, Pushgateway, grouping, write_textfile
from tests.neighbours import free_port
from tests.web.certificates import Authority

DROPPED = 0
"""An answer that never comes: the connection is closed."""


@dataclass
class Gateway:
    """Answers with the statuses of a script, the last one for ever, and remembers what it was asked."""

    script: list[tuple[int, dict[str, str], str]] = field(default_factory=lambda: [(200, {}, "")])
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    def says(self, *statuses: int, text: str = "", **headers: str) -> None:
        self.script = [(status, headers, text) for status in statuses]


def handler(gateway: Gateway) -> type[BaseHTTPRequestHandler]:
    class Answers(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            gateway.asked.append((self.command, self.path, dict(self.headers), body))
            status, headers, text = gateway.script[0] if len(gateway.script) == 1 else gateway.script.pop(0)
            if status == DROPPED:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_DELETE = do_PUT  # noqa: N815  http.server calls it so

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Answers


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    yield from serving()


def serving(context: ssl.SSLContext | None = None) -> Iterator[Gateway]:
    gateway = Gateway()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(gateway))
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    gateway.url = f"http{'s' if context else ''}://127.0.0.1:{server.server_address[1]}"
    yield gateway
    server.shutdown()
    thread.join()
    server.server_close()


class Waits(list[float]):
    """Remembers how long it was told to rest, and does not."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def test_a_push_replaces_the_group_of_its_job_and_labels(gateway: Gateway) -> None:
    Pushgateway(gateway.url, "cost", grouping(["instance=eu-1", "desk=a/b c=ü", "empty="])).put(b"x 1\n")
    [(method, path, headers, body)] = gateway.asked
    slashed = base64.urlsafe_b64encode("a/b c=ü".encode()).decode()
    assert (method, body) == ("PUT", b"x 1\n")
    assert path == f"/metrics/job/cost/desk@base64/{slashed}/empty@base64/=/instance/eu-1"
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert "Authorization" not in headers


def test_the_address_may_end_in_a_slash_or_lead_below_a_prefix(gateway: Gateway) -> None:
    for url in (f"{gateway.url}/", f"{gateway.url}/metrics", f"{gateway.url}/push/"):
        Pushgateway(url).delete()
    assert [(method, path) for method, path, _, _ in gateway.asked] == [
        ("DELETE", "/metrics/job/cloudspend"),
        ("DELETE", "/metrics/job/cloudspend"),
        ("DELETE", "/push/metrics/job/cloudspend"),
    ]


@pytest.mark.parametrize("status", [429, 500, 502, 503, DROPPED])
def test_what_may_pass_is_tried_again(gateway: Gateway, status: int) -> None:
    gateway.says(status, status, 200)
    waits = Waits()
    Pushgateway(gateway.url, rest=waits).put(b"x 1\n")
    assert len(gateway.asked) == 3
    assert waits == [1, 2]


def test_retry_after_counts_up_to_a_minute(gateway: Gateway) -> None:
    gateway.script = [(503, {"Retry-After": "7"}, ""), (429, {"Retry-After": "3600"}, ""), (202, {}, "")]
    waits = Waits()
    Pushgateway(gateway.url, rest=waits).put(b"x 1\n")
    assert waits == [7, 60]


def test_four_failures_are_enough(gateway: Gateway) -> None:
    gateway.says(503, text="no disk\n")
    with pytest.raises(NotifyError, match=r"answered 503: no disk \(4 times\)") as caught:
        Pushgateway(gateway.url, rest=Waits()).put(b"x 1\n")
    assert caught.value.retry
    assert len(gateway.asked) == 4


def test_a_command_that_is_to_end_does_not_try_again(gateway: Gateway) -> None:
    gateway.says(503)
    with pytest.raises(NotifyError, match=r"answered 503$"):
        Pushgateway(gateway.url, rest=lambda _: True).put(b"x 1\n")
    assert len(gateway.asked) == 1


@pytest.mark.parametrize(
    ("status", "hint"),
    [(400, "oops"), (401, "hint: --user"), (403, "may not push"), (404, "route-prefix"), (413, "a proxy in front")],
)
def test_what_is_refused_is_said_and_not_tried_again(gateway: Gateway, status: int, hint: str) -> None:
    gateway.says(status, text="oops")
    with pytest.raises(NotifyError, match=f"answered {status}: oops") as caught:
        Pushgateway(gateway.url, rest=Waits()).put(b"x 1\n")
    assert not caught.value.retry
    assert hint in str(caught.value)
    assert len(gateway.asked) == 1


def test_a_redirect_is_no_success(gateway: Gateway) -> None:
    gateway.says(302, Location="https://elsewhere.example/")
    with pytest.raises(NotifyError, match=r"answered 302. hint: push to https://elsewhere\.example/"):
        Pushgateway(gateway.url, rest=Waits()).put(b"x 1\n")
    assert [method for method, *_ in gateway.asked] == ["PUT"]


def test_nobody_there_is_said_in_a_few_words() -> None:
    url, waits = f"http://127.0.0.1:{free_port()}", Waits()
    with pytest.raises(NotifyError) as caught:
        Pushgateway(url, rest=waits).put(b"x 1\n")
    assert str(caught.value) == f"{url}/metrics/job/cloudspend: cannot be reached: Connection refused (4 times)"
    assert waits == [1, 2, 4]


def test_basic_auth_over_tls_with_an_authority_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path)
    other = Authority(tmp_path, "other")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.issue("server"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other.file))
    for gateway in serving(context):
        access = Access(user="cost", password="salt & vinegar", ca_file=authority.file)
        Pushgateway(gateway.url, access=access).put(b"x 1\n")
        [(_, _, headers, _)] = gateway.asked
        assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"cost:salt & vinegar"
        with pytest.raises(NotifyError, match=r"TLS: .*hint: --ca-file") as caught:
            Pushgateway(gateway.url, access=Access(ca_file=other.file), rest=Waits()).put(b"x 1\n")
        assert not caught.value.retry


def test_a_certificate_that_is_not_there_is_said(tmp_path: Path) -> None:
    for access in (Access(ca_file=tmp_path / "no.pem"), Access(cert_file=tmp_path / "no.pem")):
        with pytest.raises(NotifyError, match=r"no\.pem") as caught:
            Pushgateway("https://127.0.0.1:9", access=access, rest=Waits()).put(b"x 1\n")
        assert not caught.value.retry


@pytest.mark.parametrize("label", sorted({label for spec in CATALOG.values() for label in spec.labels}))
def test_no_grouping_label_may_be_one_of_the_bill(label: str) -> None:
    with pytest.raises(ValueError, match=f"'{label}' is a label of the bill, and the gateway would write 'x' over it"):
        grouping([f"{label}=x"])


@pytest.mark.parametrize(
    ("pairs", "sentence"),
    [
        (["instance"], "'instance' is not NAME=VALUE"),
        (["job=a"], "job is given by --job"),
        (["a-b=c"], "'a-b' is not the name of a label"),
        (["__a=c"], "'__a' is not the name of a label"),
        (["=c"], "'' is not the name of a label"),
        (["a=b", "a=c"], "'a' is given twice"),
    ],
)
def test_a_grouping_label_that_cannot_be_is_refused(pairs: list[str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        grouping(pairs)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("gateway:9091", "begins with http"),
        ("ftp://gateway", "begins with http"),
        ("http://u:p@gateway", "--user and --password-file"),
        ("http://gateway/?x=1", "without"),
    ],
)
def test_an_address_that_cannot_be_is_refused(url: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Pushgateway(url)


def test_a_job_has_a_name() -> None:
    with pytest.raises(ValueError, match="a job must have a name"):
        Pushgateway("http://gateway", "")


def test_a_textfile_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "cost.prom"
    path.write_bytes(b"old 1\n")
    before = path.stat().st_ino
    write_textfile(path, b"new 2\n")
    assert path.read_bytes() == b"new 2\n"
    assert path.stat().st_ino != before
    assert [entry.name for entry in tmp_path.iterdir()] == ["cost.prom"]


def test_a_textfile_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written: No such file or directory"):
        write_textfile(tmp_path / "nowhere" / "cost.prom", b"new 2\n")
    assert push.JOB == "cloudspend"
