"""`cloudspend notify` and `collect --notify` as processes, over a channel that is a real HTTP server."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.config.load import load
from exporter.notify.lanes import lanes
from exporter.notify.sender import post
from exporter.polling.sources import Paths, Registry
from exporter.store.outbox import Letter
from exporter.store.state import State
from exporter.testing.doubles import WebhookDouble
from exporter.testing.notifier import sample
from tests.cli.test_commands import cloudspend
from tests.providers.test_focus import REAL, path_of

NOW = datetime(2024, 9, 29, 12, tzinfo=UTC)


@dataclass
class Home:
    """A folder with a bill of 21 US dollars, a budget of one, and two channels: an HTTP server, and the log."""

    folder: Path
    hook: WebhookDouble

    def __post_init__(self) -> None:
        channels = [{"name": "hook", "type": "webhook", "url": self.hook.url}, {"name": "out", "type": "log"}]
        document: dict[str, Any] = {
            "store": {"path": "./data"},
            "sources": [{"name": "sample", "provider": "focus", "path": str(path_of(REAL, self.folder))}],
            "budgets": [{"name": "all", "amount": 1, "provider": "aws"}],
            "notify": {"channels": channels},
        }
        self.text = yaml.safe_dump(document)
        (self.folder / "cloudspend.yml").write_text(self.text)
        self.state = Paths(self.folder / "data").state

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return cloudspend(*words, folder=self.folder, CLOUDSPEND_NOW=f"{NOW.isoformat()},frozen")

    def listed(self, *words: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.run("notify", "--list", "--format", "json", *words).stdout)
        return found

    def put(self, *keys: str) -> list[Letter]:
        """Messages that wait, for the server alone."""
        config = load(self.text, Registry(), folder=self.folder, environment={})
        self.state.parent.mkdir(exist_ok=True)
        with State(self.state) as state:
            for number, key in enumerate(keys):
                message = sample(key=key, fingerprint=key, channels=("hook",), title=f"title {key}")
                state.post([post(message, lanes(config))], NOW - timedelta(hours=number))
            return state.letters("waiting")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with WebhookDouble() as hook:
        yield Home(tmp_path, hook)


# --- --test ----------------------------------------------------------------------------------------------------------


def test_a_channel_is_tried_with_a_message_that_alarms_nobody(home: Home) -> None:
    done = home.run("notify", "--test", "hook")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "hook: taken\n")
    [request] = home.hook.taken
    assert (request.json["kind"], request.json["severity"]) == ("test", "info")
    assert "Nothing has happened to the bill" in request.json["sentence"]
    assert not home.state.exists(), "a trial goes past the outbox"


def test_a_channel_that_refuses_is_told_with_its_reason_and_the_fix_and_no_secret(home: Home) -> None:
    home.hook.then(home.hook.refusing())
    done = home.run("notify", "--test", "hook")
    assert done.returncode == 1
    assert done.stderr.startswith("hook: refused: ")
    assert "401" in done.stderr
    assert "hint: check the address and the credentials of the channel" in done.stderr
    assert home.hook.path.rpartition("/")[2] not in done.stderr


def test_a_channel_that_there_is_not_is_a_mistake_of_whoever_asks(home: Home) -> None:
    done = home.run("notify", "--test", "hok")
    assert done.returncode == 2
    assert "'hok' is no channel here. hint: one of hook, out" in done.stderr
    (home.folder / "cloudspend.yml").write_text("sources: [{name: demo, provider: demo}]\n")
    assert "there are none: notify.channels is empty" in home.run("notify", "--test", "hook").stderr


@pytest.mark.parametrize("words", [(), ("--list", "--retry", "all"), ("--test", "hook", "--list")])
def test_one_thing_is_asked_for_at_a_time(home: Home, words: tuple[str, ...]) -> None:
    done = home.run("notify", *words)
    assert done.returncode == 2
    assert "say one of --test CHANNEL, --list and --retry CHANNEL" in done.stderr


# --- --list, --retry -------------------------------------------------------------------------------------------------


def test_what_waits_is_listed_with_what_went_wrong(home: Home) -> None:
    first, second, *_ = home.put("1", "2", "3", "4")
    with State(home.state) as state:
        state.put_off(first, NOW + timedelta(minutes=5), "unavailable", "hook: answered 503")
        state.acknowledged(second, NOW)
    assert [(each["title"], each["state"], each["reason"]) for each in home.listed()] == [
        ("[HIGH] title 1", "failing", "unavailable"),
        ("[HIGH] title 3", "waiting", None),
        ("[HIGH] title 4", "waiting", None),
    ]
    [failing, waiting, _] = home.listed()
    assert failing == {
        "channel": "hook",
        "state": "failing",
        "title": "[HIGH] title 1",
        "since": "2024-09-29T12:00:00Z",
        "tries": 1,
        "next_try": "2024-09-29T12:05:00Z",
        "reason": "unavailable",
        "error": "hook: answered 503",
    }
    assert (waiting["since"], waiting["next_try"]) == ("2024-09-29T10:00:00Z", None)
    assert [each["state"] for each in home.listed("--all")] == ["failing", "sent", "waiting", "waiting"]
    done = home.run("notify", "--list")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0].split() == [
        *("channel", "state", "title", "since", "tries", "next", "try", "reason", "error")
    ]


def test_what_was_put_aside_makes_the_list_fail_until_it_waits_anew(home: Home) -> None:
    first, second = home.put("1", "2")
    with State(home.state) as state:
        state.bury(first, NOW, "rejected", "hook: answered 413")
    assert home.run("notify", "--list").returncode == 1
    done = home.run("notify", "--retry", "out")
    assert (done.returncode, done.stderr.partition(";")[0]) == (0, "0 messages wait anew")
    done = home.run("notify", "--retry", "hook")
    assert (done.returncode, done.stderr.partition(";")[0]) == (0, "1 message waits anew")
    assert home.run("notify", "--list").returncode == 0
    with State(home.state) as state:
        state.bury(second, NOW, "expired", "nobody took it")
    assert home.run("notify", "--retry", "all").stderr.startswith("1 message waits anew")


def test_nothing_to_list_is_an_empty_list(home: Home) -> None:
    home.state.parent.mkdir()
    assert home.listed() == []


# --- collect --notify ------------------------------------------------------------------------------------------------


def test_collect_tells_what_it_found_once_and_only_where_asked_to(home: Home) -> None:
    assert home.run("collect").returncode == 0
    assert home.hook.received == []
    done = home.run("collect", "--notify")
    assert done.returncode == 0, done.stderr
    [request] = home.hook.taken
    assert request.json["sentence"].startswith("Budget all has spent 20.62 USD of 1.00 USD, more than 100% of it.")
    assert done.stderr.count("msg=notification") == 1, "the log is a channel too"
    assert home.run("collect", "--notify").returncode == 0
    assert len(home.hook.received) == 1


def test_collect_fails_where_a_message_could_not_be_sent_and_the_next_one_sends_it(home: Home) -> None:
    home.hook.always = home.hook.refusing()
    done = home.run("collect", "--notify")
    assert done.returncode == 1
    assert "hook: 1 message waits; cloudspend notify --list says why" in done.stderr
    [letter] = home.listed()
    assert (letter["channel"], letter["reason"]) == ("hook", "refused")
    home.hook.always = None
    assert home.run("collect", "--notify").returncode == 0
    assert len(home.hook.taken) == 1
