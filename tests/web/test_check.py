"""What checks are told: check.json as it was published, and what is true at this moment."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from exporter import snapshot
from exporter.polling.sources import Paths
from tests.web.asking import ask
from tests.web.conftest import Stand

PATH = "/api/v1/check"


@pytest.fixture
def polled(stand: Stand) -> Stand:
    stand.house.poll("good")
    stand.house.publish()
    return stand


def test_the_document_is_the_published_one_with_what_is_served_now(polled: Stand) -> None:
    answer = ask(polled.web(polled.house.now + timedelta(minutes=5)), PATH)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["cache-control"] == "no-store"
    document = json.loads(answer.text)
    served = document.pop("served")
    published = snapshot.load(Paths(polled.house.root).snapshots)
    assert published
    assert document == published.check()
    assert served["now"] == "2024-09-20T12:05:00+00:00"
    assert served["made"] == published.manifest.made.isoformat()
    assert served["expires_at"] == published.manifest.expires_at.isoformat()  # type: ignore[union-attr]
    assert served["sources"]["good"] | {"label": ""} == {
        "label": "",
        "failed": None,
        "message": None,
        "hint": None,
        "waiting": None,
    }


def test_before_the_first_bill_it_says_what_is_waited_for(stand: Stand) -> None:
    answer = ask(stand.web(), PATH)
    assert answer.status == 503
    assert answer.text.startswith("no bill yet\ngood: waiting for its first poll, due 2024-09-20 12:00 UTC")


def test_a_bill_that_is_too_old_is_not_judged(polled: Stand) -> None:
    answer = ask(polled.web(polled.house.now + timedelta(days=30)), PATH)
    assert answer.status == 503
    assert answer.text.startswith("the last bill is too old to be served since ")


def test_a_document_that_is_gone_is_no_document(polled: Stand) -> None:
    web = polled.web()
    for path in Paths(polled.house.root).snapshots.glob("*/check.json"):
        path.unlink()
    assert ask(web, PATH).status == 503


def test_it_cannot_be_written(polled: Stand) -> None:
    assert ask(polled.web(), PATH, "POST").status == 405
    assert ask(polled.web(), PATH, "HEAD").body == b""
