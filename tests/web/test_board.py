"""What is served as the store and the clock move on."""

from __future__ import annotations

from datetime import timedelta

from prometheus_client.parser import text_string_to_metric_families as parse

from exporter.metrics.catalog import CATALOG
from exporter.metrics.exposition import Form
from exporter.web.board import Board
from tests.web.asking import ask
from tests.web.conftest import Stand

SECOND = timedelta(seconds=1)


def families(board: Board) -> set[str]:
    return {
        family.name + ("_total" if family.type == "counter" else "")
        for family in parse(board.body(Form(openmetrics=False, gzip=False)).decode())
    } & CATALOG.keys()


def test_past_its_expiry_a_snapshot_is_not_served_and_the_live_part_is(stand: Stand) -> None:
    stand.house.poll("good")
    expires = stand.house.publish().manifest.expires_at
    assert expires is not None
    before, after = stand.board(expires - SECOND), stand.board(expires)
    live = {name for name in families(before) if CATALOG[name].live}
    assert before.ready
    assert families(before) > live
    assert not after.ready
    assert families(after) == live
    web = stand.web(expires)
    sentence = f"the last bill is too old to be served since {expires:%Y-%m-%dT%H:%M:%SZ}"
    assert ask(web, "/-/ready").text.splitlines()[0] == sentence
    assert sentence in ask(web, "/").text


def test_a_newer_snapshot_ends_the_silence(stand: Stand) -> None:
    stand.house.poll("good")
    expires = stand.house.publish().manifest.expires_at
    assert expires is not None
    board = stand.board(expires)
    stand.house.now = expires
    stand.house.poll("good")
    stand.house.publish()
    assert not board.ready
    board.refresh()
    assert board.ready
    assert "cloudspend_month_to_date_cost" in families(board)


def test_every_live_family_without_labels_is_there_from_the_start(stand: Stand) -> None:
    named = {name for name, spec in CATALOG.items() if spec.live and not spec.labels}
    assert named - families(stand.board()) == {"cloudspend_exporter_snapshot_timestamp_seconds"}
