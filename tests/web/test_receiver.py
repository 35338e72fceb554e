"""POST /receiver/alertmanager: on the disk before it is answered, and nothing that serves waits for it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from exporter import snapshot
from exporter.clock import Clock
from exporter.notify.message import read
from exporter.snapshot import Manifest
from exporter.store.state import State
from exporter.web.receiver import Receiver
from tests.notify.house import config
from tests.notify.test_alerts import alert, group
from tests.notify.test_news import finding

NOON = datetime(2024, 3, 15, 12, tzinfo=UTC)
OUT = {"name": "out", "type": "log"}


class Stand:
    def __init__(self, folder: Path, *channels: dict[str, Any]) -> None:
        self.path, self.snapshots = folder / "state.sqlite", folder / "snapshots"
        self.nudges = 0
        self.channels = channels
        settings = config(channels, folder)
        self.now = NOON
        stand = self

        class Hand(Clock):
            def now(self) -> datetime:
                return stand.now

        self.receiver = Receiver(self.path, self.snapshots, lambda: settings, Hand(), self.nudge)

    def nudge(self) -> None:
        self.nudges += 1

    def post(self, body: Any) -> tuple[int, str]:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return asyncio.run(self.receiver.take(raw))

    def letters(self) -> list[Any]:
        with State(self.path) as state:
            return state.letters("waiting")


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    found = Stand(tmp_path, OUT, OUT | {"name": "bad", "min_severity": "critical"})
    yield found
    found.receiver.close()


def test_a_group_is_in_the_outbox_when_it_is_answered(stand: Stand) -> None:
    assert stand.post(group(alert())) == (200, "1 message")
    (letter,) = stand.letters()
    assert (letter.channel, read(letter.body).sentence) == ("out", "Service 1 cost 10 USD more than expected.")
    assert stand.nudges == 1


def test_a_group_that_is_sent_again_is_one_message_and_a_reminder_is_another(stand: Stand) -> None:
    stand.post(group(alert()))
    stand.now += timedelta(minutes=5)
    assert stand.post(group(alert())) == (200, "0 messages")
    stand.now += timedelta(hours=4)
    assert stand.post(group(alert())) == (200, "1 message")
    assert len({letter.key for letter in stand.letters()}) == 2


def test_what_is_no_group_is_400_with_the_reason(stand: Stand) -> None:
    assert stand.post(b"{}")[0] == 400
    assert "version" in stand.post(b"{}")[1]
    assert stand.nudges == 0


def test_an_alert_about_a_finding_is_explained_from_the_snapshot(stand: Stand) -> None:
    snapshot.publish(stand.snapshots, Manifest(NOON), b"", {"findings": [finding()]})
    stand.post(group(alert(fingerprint="f1")))
    assert "EC2 - Other cost 225.68 USD." in read(stand.letters()[0].body).lines
    snapshot.publish(stand.snapshots, Manifest(NOON), b"", {"findings": [finding(sentence="It got worse.")]})
    stand.post(group(alert(2, fingerprint="f1")))
    assert "It got worse." in read(stand.letters()[1].body).lines


def test_a_thousand_alerts_are_one_message(stand: Stand) -> None:
    alerts = [alert(number, severity="critical") for number in range(1_000)]
    assert stand.post(group(*alerts)) == (200, "2 messages")
    message = read(stand.letters()[0].body)
    assert message.title == "Service 0 costs more, and 999 more"
    assert message.lines[-1] == "and 990 more"


def test_an_outbox_that_cannot_be_written_is_503_and_alertmanager_comes_again(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.web.receiver._PATIENCE", 0.1)
    stand.post(group(alert()))
    busy = sqlite3.connect(stand.path)
    busy.execute("BEGIN IMMEDIATE")
    assert stand.post(group(alert(2)))[0] == 503
    busy.execute("ROLLBACK")
    busy.close()
    assert stand.post(group(alert(2))) == (200, "1 message")


def test_without_a_channel_there_is_nothing_to_receive_for(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    assert stand.post(group(alert())) == (404, "no channel is configured. hint: notify.channels")
    stand.receiver.close()
