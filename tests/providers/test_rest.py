"""What get_json makes of everything that a server can answer. The contract shows the same from a provider's side."""

import logging
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import pytest
from pydantic import BaseModel, SecretStr

from exporter.errors import AccessDenied, BadData, SourceError, Throttled, Unavailable
from exporter.providers.rest import Patience, get_json, pages, reading
from exporter.testing import CountingMeter

TOKEN = SecretStr("t0ken/for tests")
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: str = "{}"
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None


class Server:
    """Gives the scripted answers in order, the last one for ever; `{echo}` becomes what is secret in the request."""

    def __init__(self) -> None:
        self.script: list[Answer] = [Answer()]
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.waits: list[float] = []
        self.meter = CountingMeter()
        self.url = ""

    def ask(self, *script: Answer, shape: Any = object, path: str = "/v1/charges", tries: int = 4, **more: Any) -> Any:
        self.script = list(script)
        more = {"operation": "billing.read", "patience": Patience(tries=tries, sleep=self.waits.append)} | more
        return get_json(self.url + path, shape, meter=self.meter, **more)

    def fails(self, *script: Answer, **more: Any) -> SourceError:
        with pytest.raises(SourceError) as caught:
            pytest.fail(f"answered {self.ask(*script, **more)}")
        return caught.value


class Handler(BaseHTTPRequestHandler):
    def __init__(self, server: Server, *arguments: Any) -> None:
        self.house = server
        super().__init__(*arguments)

    def do_GET(self) -> None:
        self.house.headers.append(dict(self.headers))
        self.house.paths.append(self.path)
        answer = self.house.script[0] if len(self.house.script) == 1 else self.house.script.pop(0)
        echo = [self.headers["Authorization"], self.headers["X-Key"], unquote_plus(self.path), self.path]
        body = answer.body.replace("{echo}", f"{echo}").encode()
        self.send_response_only(answer.status)
        length = len(body) if answer.length is None else answer.length
        for name, value in {"Content-Length": str(length), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,billing.acme.invalid")
    server = Server()
    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, server))
    http.daemon_threads = False
    server.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    http.shutdown()
    http.server_close()
    thread.join()


def everything(error: BaseException) -> str:
    """All that a log or a traceback could show of an error."""
    return "\n".join([repr(error), str(getattr(error, "hint", "")), *traceback.format_exception(error)])


class TestNumbers:
    def test_numbers_arrive_digit_for_digit(self, server: Server) -> None:
        answered = server.ask(Answer(body='{"a": 0.1234567890123456789012345678901234567890, "b": 1e2, "c": 10}'))

        assert answered == {"a": Decimal("0.1234567890123456789012345678901234567890"), "b": Decimal("1e2"), "c": 10}
        assert [type(value) for value in answered.values()] == [Decimal, Decimal, int]

    @pytest.mark.parametrize("body", ["NaN", "[Infinity]", "1e99999999999999999999", "[" * 100_000, '{"a": 1', "\x00"])
    def test_what_is_no_json_is_bad_data(self, server: Server, body: str) -> None:
        assert isinstance(server.fails(Answer(body=body)), BadData)
        assert len(server.paths) == 1

    def test_another_shape_is_bad_data_and_names_the_field_but_not_its_value(self, server: Server) -> None:
        class Line(BaseModel):
            amount: Decimal

        class Bill(BaseModel):
            lines: list[Line]

        error = server.fails(Answer(body='{"lines": [{"amount": 1}, {"amount": "t0ken"}]}'), shape=Bill)

        assert isinstance(error, BadData)
        assert "lines.1.amount: Input should be a valid decimal" in error.message
        assert "t0ken" not in everything(error)
        assert server.ask(Answer(body='{"lines": [{"amount": 0.10}]}'), shape=Bill).lines == [
            Line(amount=Decimal("0.10"))
        ]


class TestAskingAgain:
    def test_a_fault_is_waited_out_ever_longer_and_each_try_is_metered(self, server: Server) -> None:
        assert server.ask(Answer(500), Answer(502), Answer(504), Answer(body="[1]")) == [1]
        assert server.waits == [1, 2, 4]
        assert server.meter.operations == ["billing.read"] * 4

    def test_it_gives_up_after_so_many_tries(self, server: Server) -> None:
        assert isinstance(server.fails(Answer(503)), Unavailable)
        assert len(server.paths) == 4

    def test_what_does_not_pass_is_not_asked_again(self, server: Server) -> None:
        for status in (301, 400, 401, 403, 404, 410, 501, 505):
            server.fails(Answer(status))
        assert server.waits == []

    def test_retry_after_is_honoured_in_seconds(self, server: Server) -> None:
        server.ask(Answer(429, headers={"Retry-After": "7"}), Answer(503, headers={"Retry-After": "9"}), Answer())
        assert server.waits == [7, 9]

    def test_retry_after_as_a_date_counts_from_the_clock_of_the_server(self, server: Server) -> None:
        date = {"Date": "Mon, 02 Sep 2024 10:00:00 GMT", "Retry-After": "Mon, 02 Sep 2024 10:00:21 GMT"}
        server.ask(Answer(429, headers=date), Answer())
        assert server.waits == [21]

    def test_a_date_without_a_clock_counts_from_ours(self, server: Server) -> None:
        past, future = "Mon, 02 Sep 2024 10:00:21 GMT", "Sat, 02 Sep 2990 10:00:21 GMT"
        server.ask(Answer(429, headers={"Retry-After": past}), Answer())
        assert server.waits == [1]
        assert server.fails(Answer(429, headers={"Retry-After": past})).retry_after == timedelta(0)
        assert server.fails(Answer(429, headers={"Retry-After": future})).retry_after == timedelta(days=31)

    @pytest.mark.parametrize("words", ["soon", "-5", "Mon, 02 Sep", "1" * 5000])
    def test_a_retry_after_that_cannot_be_read_does_no_harm(self, server: Server, words: str) -> None:
        error = server.fails(Answer(429, headers={"Retry-After": words}))
        assert isinstance(error, Throttled)
        assert error.retry_after in (None, timedelta(days=31))

    def test_a_long_rest_is_not_slept_through_but_reported(self, server: Server) -> None:
        error = server.fails(Answer(429, headers={"Retry-After": "3600"}))

        assert isinstance(error, Throttled)
        assert (error.retry_after, server.waits, len(server.paths)) == (HOUR, [], 1)
        assert server.fails(Answer(503, headers={"Retry-After": "3600"})).retry_after == HOUR

    def test_a_body_cut_off_is_asked_for_again_and_then_bad_data(self, server: Server) -> None:
        assert server.ask(Answer(body='{"a', length=99), Answer(body="[1]")) == [1]
        error = server.fails(Answer(body='{"charges": [' + " " * 5000, length=9999))
        assert isinstance(error, BadData)
        assert error.message.endswith("""is cut off; it begins '{"charges": ['""")

    def test_a_meter_that_refuses_stops_before_the_request(self, server: Server) -> None:
        server.meter.cap = 2
        error = server.fails(Answer(500))
        assert "the cap of this meter" in str(error)
        assert len(server.paths) == 2


class TestRefusals:
    def test_a_denial_names_the_permission_and_what_the_server_said(self, server: Server) -> None:
        error = server.fails(Answer(403, "no such\n  grant"), permission="charges:Read")

        assert isinstance(error, AccessDenied)
        assert error.message == f"{server.url}/v1/charges answered 403; it begins 'no such grant'"
        assert error.hint == "the credentials must allow charges:Read"

    @pytest.mark.parametrize("status", [401, 407])
    def test_credentials_that_are_not_known_may_have_expired(self, server: Server, status: int) -> None:
        error = server.fails(Answer(status))
        assert isinstance(error, AccessDenied)
        assert error.hint == "the credentials must allow billing.read; they may have expired"

    @pytest.mark.parametrize("status", [404, 410])
    def test_nothing_at_this_address_is_unavailable(self, server: Server, status: int) -> None:
        error = server.fails(Answer(status, ""))
        assert isinstance(error, Unavailable)
        assert "check `url`" in str(error)
        assert "it is empty" in str(error)

    @pytest.mark.parametrize("status", [301, 302, 307])
    def test_a_redirect_is_not_followed(self, server: Server, status: int) -> None:
        error = server.fails(Answer(status, headers={"Location": f"{server.url}/elsewhere"}), token=TOKEN)
        assert isinstance(error, Unavailable)
        assert server.paths == ["/v1/charges"]

    @pytest.mark.parametrize("status", [202, 204, 206, 400, 418, 422])
    def test_any_other_answer_is_bad_data_with_what_the_server_said(self, server: Server, status: int) -> None:
        error = server.fails(Answer(status, "" if status == 204 else "`from` is after `until`"))
        assert isinstance(error, BadData)
        assert str(status) in error.message

    def test_a_long_page_is_quoted_in_its_beginning_only(self, server: Server) -> None:
        assert len(str(server.fails(Answer(body="<html>" + "x" * 10_000)))) < 300


class TestTheNetwork:
    def test_a_refused_connection_is_unavailable(self, server: Server) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            server.url = f"http://127.0.0.1:{unused.getsockname()[1]}"
            error = server.fails(Answer())
        assert isinstance(error, Unavailable)
        assert error.message == f"cannot reach {server.url}/v1/charges: Connection refused"
        assert len(server.waits) == 3

    def test_a_silent_server_is_unavailable(self, server: Server) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            server.url = f"http://127.0.0.1:{silent.getsockname()[1]}"
            error = server.fails(Answer(), timeout=0.05, tries=1)
        assert isinstance(error, Unavailable)
        assert error.message.endswith("sent nothing for 0.05 s")

    def test_a_name_that_does_not_resolve_is_unavailable(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        def unknown(*arguments: object, **more: object) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        server.url = "https://billing.acme.invalid"
        error = server.fails(Answer())
        assert isinstance(error, Unavailable)
        assert error.message == "cannot reach https://billing.acme.invalid/v1/charges: Name or service not known"

    def test_a_connection_without_trust_is_unavailable_and_not_tried_again(self, server: Server) -> None:
        server.url = server.url.replace("http:", "https:")  # the server speaks no TLS
        error = server.fails(Answer())
        assert isinstance(error, Unavailable)
        assert error.message.startswith(f"no trusted connection to {server.url}/v1/charges: ")
        assert server.waits == []

    @pytest.mark.parametrize("url", ["billing.acme.example", "ftp://billing.acme.example", "http://", "http://[", ""])
    def test_an_address_that_is_none_is_unavailable(self, server: Server, url: str) -> None:
        server.url = url
        error = server.fails(Answer())
        assert isinstance(error, Unavailable)
        assert error.hint == "check `url`"
        assert server.waits == []


class TestSecrets:
    def test_a_token_travels_as_bearer_and_nothing_out_of_netrc_replaces_it(
        self, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))

        server.ask(Answer(), token=TOKEN)
        server.ask(Answer(), headers={"X-Key": SecretStr("k3y-for-tests")})

        assert server.headers[0]["Authorization"] == "Bearer t0ken/for tests"
        assert "Authorization" not in server.headers[1]
        assert server.headers[1]["X-Key"] == "k3y-for-tests"

    @pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 429, 500])
    def test_no_secret_comes_back_in_an_error_or_in_the_log(
        self, server: Server, status: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        server.url = server.url.replace("//", "//user:pa55word@")

        error = server.fails(
            Answer(status, "you sent {echo}"),
            path="/v1/charges?sig=s1gnature%2Bfor-tests",
            token=TOKEN,
            headers={"X-Key": SecretStr("k3y-for-tests")},
            params={"key": SecretStr("t0ken & key"), "from": "2024-09-01", "until": None},
        )

        said = everything(error) + caplog.text
        for secret in ("t0ken", "k3y", "pa55word", "user:", "s1gnature"):
            assert secret not in said
        assert server.paths[0] == "/v1/charges?sig=s1gnature%2Bfor-tests&key=t0ken+%26+key&from=2024-09-01"

    @pytest.mark.parametrize("token", ["t0ken\nfor-tests", "t0ken-for-tests…"])
    def test_a_token_that_no_header_can_hold_is_denied_without_quoting_it(self, server: Server, token: str) -> None:
        error = server.fails(Answer(), token=SecretStr(token))
        assert isinstance(error, AccessDenied)
        assert "t0ken" not in everything(error)
        assert server.paths == []

    def test_an_address_that_is_none_is_not_quoted_with_its_password(self, server: Server) -> None:
        server.url = "http://user:pa55?word@billing.acme.example"
        assert "pa55" not in everything(server.fails(Answer()))


BOOK = {"": ("a", "2"), "2": ("b", "3"), "3": ("c", "")}


class TestPages:
    def test_every_page_is_read_once_in_order(self) -> None:
        assert [page[0] for page in pages(BOOK.__getitem__, "", lambda page: page[1])] == ["a", "b", "c"]

    @pytest.mark.parametrize("end", [None, ""])
    def test_no_cursor_and_an_empty_one_end_it(self, end: str | None) -> None:
        assert list(pages(str, "first", {"first": end}.get)) == ["first"]

    @pytest.mark.parametrize("back", ["2", "3"])
    def test_a_cursor_that_comes_again_is_bad_data(self, back: str) -> None:
        circle = {**BOOK, "3": ("c", back)}
        with pytest.raises(BadData, match="page 3 names a next page that was read before"):
            list(islice(pages(circle.__getitem__, "", lambda page: page[1]), 99))

    def test_a_book_without_end_is_bad_data(self) -> None:
        with pytest.raises(BadData, match="does not end after 50 pages"):
            list(islice(pages(lambda number: number, 1, lambda number: number + 1, most=50), 99))


class TestReading:
    @pytest.mark.parametrize("body", [{}, [], None, "maintenance", {"charges": [{"amount": "twelve"}]}])
    def test_whatever_does_not_fit_is_bad_data(self, body: Any) -> None:
        with pytest.raises(BadData, match=r"^Acme's charges cannot be read"), reading("Acme's charges"):
            Decimal(body["charges"][0]["amount"])

    def test_a_missing_key_is_named(self) -> None:
        with pytest.raises(BadData, match="there is no 'charges'"), reading("Acme's charges"):
            {}["charges"]

    def test_our_own_errors_come_through_as_they_are(self) -> None:
        with pytest.raises(Throttled), reading("Acme's charges"):
            raise Throttled("slow down")

    def test_the_original_is_not_in_the_traceback(self) -> None:
        with pytest.raises(BadData) as caught, reading("Acme's charges"):
            int("t0ken" * 100)
        assert "During handling" not in everything(caught.value)
        assert "direct cause" not in everything(caught.value)
        assert len(caught.value.message) < 250


def test_importing_the_module_does_not_import_requests() -> None:
    code = "import sys, exporter.providers.rest; sys.exit('requests' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
