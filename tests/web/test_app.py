"""What each path answers, to which method, in which form."""

from __future__ import annotations

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from exporter import log
from exporter.errors import ConfigError, Problem
from exporter.metrics.exposition import OPENMETRICS, TEXT
from tests.web.asking import ask
from tests.web.conftest import Stand

PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.fixture
def polled(stand: Stand) -> Stand:
    stand.house.poll("good")
    stand.house.publish()
    return stand


@pytest.mark.parametrize("path", ["/metrics", "/", "/config", "/-/healthy", "/-/ready", "/nowhere"])
def test_head_says_what_get_says_without_the_body(polled: Stand, path: str) -> None:
    web = polled.web()
    whole, head = ask(web, path), ask(web, path, "HEAD")
    assert head.body == b""
    assert (head.status, head.headers.keys()) == (whole.status, whole.headers.keys())
    assert head.headers["content-type"] == whole.headers["content-type"]
    assert whole.headers["content-length"] == str(len(whole.body))
    assert int(head.headers["content-length"]) > 0


@pytest.mark.parametrize(
    ("encodings", "expected"),
    [
        ([], None),
        (["zstd"], None),
        (["zstd, br"], None),
        (["zstd, gzip;q=0.1"], "gzip"),
        (["zstd", "gzip"], "gzip"),
        (["gzip", "zstd"], "gzip"),
        (["gzip;q=0"], None),
        (["gzip;q=0.2, identity;q=0.9"], None),
    ],
)
def test_metrics_are_compressed_with_gzip_or_not_at_all(
    polled: Stand, encodings: list[str], expected: str | None
) -> None:
    answer = ask(polled.web(), "/metrics", headers=[("Accept-Encoding", words) for words in encodings])
    assert answer.headers.get("content-encoding") == expected
    assert answer.headers["vary"] == "Accept, Accept-Encoding"
    assert any(family.name == "cloudspend_month_to_date_cost" for family in parse(answer.text))


@pytest.mark.parametrize(
    ("accepts", "expected"),
    [
        ([], TEXT),
        ([PROMETHEUS], OPENMETRICS),
        (["text/plain;q=0.2", "application/openmetrics-text"], OPENMETRICS),
        (["application/openmetrics-text", "text/plain;q=0.2"], OPENMETRICS),
        (["application/openmetrics-text;q=0.2", "text/plain"], TEXT),
        (["application/openmetrics-text;q=0"], TEXT),
        (["application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily"], TEXT),
    ],
)
def test_accept_may_come_in_several_lines_and_its_weights_count(
    polled: Stand, accepts: list[str], expected: str
) -> None:
    answer = ask(polled.web(), "/metrics", headers=[("Accept", words) for words in accepts])
    assert answer.headers["content-type"] == expected
    read = parse_openmetrics if expected == OPENMETRICS else parse
    assert any(family.name == "cloudspend_month_to_date_cost" for family in read(answer.text))


def test_the_page_leads_to_everything_there_is(polled: Stand) -> None:
    text = ask(polled.web(), "/").text
    for path in ("/metrics", "/config", "/-/healthy", "/-/ready"):
        assert f'<a href="{path}">' in text
    assert '<span class="mark good">● up</span>' in text


def test_before_the_first_poll_the_page_says_when_it_is_due(stand: Stand) -> None:
    web = stand.web()
    assert "waiting for its first poll, due 2024-09-20 12:00 UTC" in ask(web, "/").text
    ready = ask(web, "/-/ready")
    assert ready.status == 503
    assert ready.text == (
        "no bill yet\ngood: waiting for its first poll, due 2024-09-20 12:00 UTC, next poll 2024-09-20T12:00:00Z\n"
    )
    assert "cloudspend_month_to_date_cost" not in ask(web, "/metrics").text
    assert 'cloudspend_up{source="good"} 0' in ask(web, "/metrics").text


def test_while_the_first_poll_runs_the_page_says_since_when(stand: Stand) -> None:
    with stand.house.state() as state:
        state.begin("good", stand.house.now, stand.house.now, pid=1, asked_as="")
    assert "waiting for its first poll, which runs since 2024-09-20 12:00 UTC" in ask(stand.web(), "/").text


def test_config_is_the_running_configuration_as_text(stand: Stand) -> None:
    answer = ask(stand.web(), "/config")
    assert (answer.status, answer.text) == (200, "cost: {basis: billed}\n")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_reload_takes_post_and_put(stand: Stand, method: str) -> None:
    assert ask(stand.web(), "/-/reload", method).status == 200
    assert stand.reloads == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_reload_takes_nothing_else(stand: Stand, method: str) -> None:
    answer = ask(stand.web(), "/-/reload", method)
    assert (answer.status, answer.headers["allow"]) == (405, "POST, PUT")
    assert stand.reloads == 0


def test_a_reload_that_fails_says_every_problem_and_no_secret(stand: Stand) -> None:
    log.keep_secret("open-sesame")
    stand.refusal = ConfigError((Problem("a", "is wrong", 3), Problem("b", "is open-sesame", 4, "mend it")), "c.yml")
    answer = ask(stand.web(), "/-/reload", "POST")
    assert answer.status == 400
    assert answer.text == (
        "c.yml: line 3: a: is wrong\nc.yml: line 4: b: is <secret>. hint: mend it\nnothing has changed\n"
    )


@pytest.mark.parametrize("path", ["/metrics", "/", "/config", "/-/ready"])
def test_what_is_read_cannot_be_written(stand: Stand, path: str) -> None:
    answer = ask(stand.web(), path, "POST")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
