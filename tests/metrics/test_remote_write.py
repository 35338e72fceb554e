"""Remote write: the protocol, and what becomes of each answer."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path

import pytest
import trustme
from pydantic import SecretStr

from exporter.config.remote_write import RemoteWriteSettings
from exporter.errors import NotifyError
from exporter.metrics.history import Series
from exporter.metrics.remote_write import SAMPLES, Dropped, Sender, TooOld, requests_of, snappy
from tests.metrics.receiver import Answer, Receiver, Request, unsnapped

LABELS = ("service", "account")


def body(*series: Series) -> bytes:
    [(content, _)] = requests_of("x", LABELS, series)
    return content


ONE = Series(("Compute", "111122223333"), [1_710_417_600, 1_710_504_001], [0.1, -2.5e-7])


class Rests:
    """Waits by remembering; says that there is no time left after `most` seconds."""

    def __init__(self, most: float = 1e9) -> None:
        self.waited: list[float] = []
        self.most = most

    def __call__(self, seconds: float) -> bool:
        self.waited.append(seconds)
        return sum(self.waited) > self.most


def settings(url: str, **more: object) -> RemoteWriteSettings:
    return RemoteWriteSettings(url=url, **more)  # type: ignore[arg-type]


def test_a_receiver_reads_what_was_sent() -> None:
    with Receiver() as receiver, Sender(settings(receiver.url)) as sender:
        sender.send(body(ONE, Series(('"hot"\n\\ Größe', ""), [1], [0.0])))
    [request] = receiver.requests
    assert request.series == (
        (
            (("__name__", "x"), ("account", "111122223333"), ("service", "Compute")),
            ((1_710_417_600_000, 0.1), (1_710_504_001_000, -2.5e-7)),
        ),
        ((("__name__", "x"), ("account", ""), ("service", '"hot"\n\\ Größe')), ((1000, 0.0),)),
    )
    assert request.headers["Content-Type"] == "application/x-protobuf"
    assert request.headers["Content-Encoding"] == "snappy"
    assert request.headers["X-Prometheus-Remote-Write-Version"] == "0.1.0"
    assert "Authorization" not in request.headers


@pytest.mark.parametrize("length", [0, 1, 59, 60, 61, 65535, 65536, 65537, 200_001])
def test_snappy_of_any_length_is_read_back(length: int) -> None:
    content = bytes(n % 251 for n in range(length))
    assert unsnapped(snappy(content)) == content


def test_requests_hold_some_thousand_samples_each_and_lose_none() -> None:
    series = [Series((f"s{n}", "a"), list(range(1, 31)), [float(n)] * 30) for n in range(1000)]
    made = list(requests_of("x", LABELS, series))
    sizes = [sum(len(one.costs) for one in inside) for _, inside in made]
    assert sum(sizes) == 30_000
    assert max(sizes) < SAMPLES + 30
    assert [one for _, inside in made for one in inside] == series
    assert list(requests_of("x", LABELS, [])) == []


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_passing_trouble_is_tried_again_as_long_as_the_receiver_asks(status: int) -> None:
    answers = iter([Answer(status, "busy", {"Retry-After": "7"}), Answer(status, "busy"), Answer(204)])
    rests = Rests()
    with Receiver(lambda _: next(answers)) as receiver, Sender(settings(receiver.url), rests) as sender:
        sender.send(body(ONE))
    assert rests.waited == [7.0, 2.0]
    assert len(receiver.requests) == 3


def test_retry_after_may_be_a_date_and_is_kept_within_bounds() -> None:
    answers = iter([Answer(503, "", {"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"}), Answer(200)])
    rests = Rests()
    with Receiver(lambda _: next(answers)) as receiver, Sender(settings(receiver.url), rests) as sender:
        sender.send(body(ONE))
    assert rests.waited == [60.0]


def test_a_receiver_that_stays_away_is_given_up_for_now() -> None:
    rests = Rests()
    with (
        Receiver(lambda _: Answer(503, "down for maintenance")) as receiver,
        Sender(settings(receiver.url), rests) as sender,
        pytest.raises(NotifyError) as raised,
    ):
        sender.send(body(ONE))
    assert str(raised.value) == (
        f"{receiver.url} answered 503: down for maintenance; what is left is written at the next try"
    )
    assert raised.value.retry
    assert rests.waited == [1.0, 2.0, 4.0, 8.0, 16.0]


def test_nothing_is_tried_again_once_time_is_over() -> None:
    with (
        Receiver(lambda _: Answer(503)) as receiver,
        Sender(settings(receiver.url), Rests(most=0.5)) as sender,
        pytest.raises(NotifyError),
    ):
        sender.send(body(ONE))
    assert len(receiver.requests) == 1


def test_a_closed_port_is_tried_again() -> None:
    with Receiver() as receiver:
        url = receiver.url
    rests = Rests()
    with Sender(settings(url), rests) as sender, pytest.raises(NotifyError, match=r"cannot be reached.*refused"):
        sender.send(body(ONE))
    assert len(rests.waited) == 5


# The words of Prometheus 2.42 (with its status), Prometheus 3, Mimir, Thanos.
@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "out of bounds"),
        (500, "too old sample"),
        (400, "out of order sample"),
        (400, "err-mimir-sample-timestamp-too-old"),
        (409, "store locally for endpoint: conflict: add 3 samples: out of order sample"),
    ],
)
def test_samples_that_are_too_old_are_final_and_say_what_to_raise(status: int, words: str) -> None:
    with (
        Receiver(lambda _: Answer(status, words)) as receiver,
        Sender(settings(receiver.url)) as sender,
        pytest.raises(TooOld, match="out_of_order_time_window"),
    ):
        sender.send(body(ONE))
    assert len(receiver.requests) == 1


def test_another_value_at_the_same_time_is_told_as_that() -> None:
    with (
        Receiver(lambda _: Answer(400, "duplicate sample for timestamp")) as receiver,
        Sender(settings(receiver.url)) as sender,
        pytest.raises(Dropped, match="another amount") as raised,
    ):
        sender.send(body(ONE))
    assert not isinstance(raised.value, TooOld)


def test_a_request_that_is_refused_for_another_reason_says_which() -> None:
    with (
        Receiver(lambda _: Answer(400, "label name too long")) as receiver,
        Sender(settings(receiver.url)) as sender,
        pytest.raises(Dropped, match="answered 400: label name too"),
    ):
        sender.send(body(ONE))


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (401, "username and password, or bearer_token"),
        (403, "username and password, or bearer_token"),
        (404, "--web.enable-remote-write-receiver"),
        (302, "is this a remote write receiver?"),
        (415, "is this a remote write receiver?"),
    ],
)
def test_what_nobody_but_the_user_can_mend_ends_it_with_a_hint(status: int, hint: str) -> None:
    with (
        Receiver(lambda _: Answer(status, "no", {"Location": "http://127.0.0.1:1/"})) as receiver,
        Sender(settings(receiver.url)) as sender,
        pytest.raises(NotifyError) as raised,
    ):
        sender.send(body(ONE))
    assert str(raised.value).endswith(f"hint: {hint}") or hint in str(raised.value)
    assert not raised.value.retry
    assert not isinstance(raised.value, Dropped)
    assert len(receiver.requests) == 1


def test_basic_auth_bearer_token_and_tenant_are_sent() -> None:
    with Receiver() as receiver:
        mine = settings(receiver.url, username="writer", password=SecretStr("open sesame"), tenant="team-a")
        with Sender(mine) as sender:
            sender.send(body(ONE))
        with Sender(settings(receiver.url, bearer_token=SecretStr("a-made-up-word"))) as sender:
            sender.send(body(ONE))
    basic, bearer = receiver.requests
    assert basic.headers["Authorization"] == f"Basic {base64.b64encode(b'writer:open sesame').decode()}"
    assert basic.headers["X-Scope-OrgID"] == "team-a"
    assert bearer.headers["Authorization"] == "Bearer a-made-up-word"
    assert "open sesame" not in repr(mine)


def test_a_netrc_file_gives_no_password_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login someone password word\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with Receiver() as receiver, Sender(settings(receiver.url)) as sender:
        sender.send(body(ONE))
    assert "Authorization" not in receiver.requests[0].headers


def test_certificates_are_checked_against_the_authority_that_is_given(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with (
        Receiver().encrypted(context) as receiver,
        Sender(settings(receiver.url, ca_file=tmp_path / "ca.pem")) as sender,
    ):
        sender.send(body(ONE))
        with Sender(settings(receiver.url)) as sender, pytest.raises(NotifyError, match=r"not trusted.*ca_file"):
            sender.send(body(ONE))
    assert len(receiver.requests) == 1


def test_a_request_counts_its_samples() -> None:
    assert Request({}, ((((("a", "b"),), ((1, 1.0), (2, 2.0)))),)).samples == [(1, 1.0), (2, 2.0)]
