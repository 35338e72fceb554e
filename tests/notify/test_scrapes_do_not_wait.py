"""Nothing in the way of a scrape waits for a notifier: neither for a channel, nor for the outbox."""

from __future__ import annotations

import asyncio
import inspect
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.clock import Clock
from exporter.notify.postman import Postman
from exporter.polling.sources import Paths
from exporter.testing.doubles import WebhookDouble
from exporter.web.app import Web
from exporter.web.board import Board
from exporter.web.receiver import Receiver
from tests.neighbours import until
from tests.notify.house import config
from tests.notify.test_alerts import alert, group
from tests.web.asking import Answer, asked
from tests.web.conftest import Stand, stand

__all__ = ["stand"]


def test_a_scrape_is_answered_while_a_channel_is_silent_and_the_outbox_is_locked(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stand.house.poll("good")
    stand.house.publish()
    monkeypatch.setattr("exporter.web.receiver._PATIENCE", 60.0)
    paths, clock = Paths(stand.house.root), Clock()
    with WebhookDouble() as hook:
        hook.hold()
        settings = config([{"name": "hook", "type": "webhook", "url": hook.url, "timeout": "1m"}], tmp_path)
        postman = Postman(settings, paths.state, paths.snapshots, clock)
        receiver = Receiver(paths.state, paths.snapshots, lambda: settings, clock, postman.nudge)
        web = stand.web()

        async def scenario() -> None:
            assert (await receiver.take(json.dumps(group(alert())).encode()))[0] == 200
            postman.start()
            await asyncio.to_thread(until, lambda: hook.received != [], "the channel has a message, and says nothing")
            busy = sqlite3.connect(paths.state)
            busy.execute("BEGIN IMMEDIATE")
            taking = asyncio.create_task(receiver.take(json.dumps(group(alert(2))).encode()))
            for path in ("/metrics", "/", "/-/healthy", "/api/v1/check"):
                answer: Answer = await asked(web, path)
                assert answer.status == 200, answer.text
            assert not taking.done(), "the receiver waits for the outbox, alone"
            assert hook.taken == []
            busy.execute("ROLLBACK")
            busy.close()
            assert (await taking)[0] == 200

        try:
            asyncio.run(scenario())
        finally:
            hook.release()
            receiver.close()
            postman.stop()


def test_what_answers_a_scrape_cannot_wait() -> None:
    for step in (Web._answer, Web._metrics, Board.body, Board.refresh):
        assert not inspect.iscoroutinefunction(step)


def test_what_answers_a_scrape_knows_no_channel_and_no_sender() -> None:
    code = "import sys, exporter.web.board; print(*(m for m in sys.modules if m.startswith('exporter.notify')))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # Only the names of the channels, to count what waits for each.
    assert set(found.stdout.split()) == {"exporter.notify", "exporter.notify.lanes", "exporter.notify.message"}
