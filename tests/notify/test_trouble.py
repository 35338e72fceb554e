"""Channels in trouble, end to end: real servers, the sender, the outbox, the log.

Whatever goes wrong, everything arrives once and in its order when it is over; until then it is tried as often as the
trouble allows, and the log says what is wrong and who can put it right.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from exporter.notify.lanes import lanes
from exporter.notify.sender import Sender, post
from exporter.store.state import State
from exporter.testing.doubles import HTML, Answer, FeishuDouble, SlackDouble
from exporter.testing.notifier import sample
from tests.neighbours import free_port
from tests.notify.house import NOON, config
from tests.notify.smtp import Mail

SECRET = "s1gn-secret"
KEYS = ["1", "2", "3"]


@dataclass
class Channel:
    """One channel with its settings, an outbox of three messages, and a clock that is set by hand."""

    folder: Path
    settings: dict[str, Any]
    heard: Callable[[], list[str]]
    """The titles of what was acknowledged, in order."""
    tried: Callable[[], int]
    """How many messages came, taken or not."""
    now: datetime = NOON
    state: State = field(init=False)

    def __post_init__(self) -> None:
        self.state = State(self.folder / "state.sqlite")
        self.config = config([{"name": "x", **self.settings}], self.folder)
        self.lanes = lanes(self.config)
        self.sender = Sender(self.state, lambda: self.now, self.lanes, self.config.notify)
        posts = [post(sample(key=key, fingerprint=key, title=key), self.lanes) for key in KEYS]
        self.state.post(posts, self.now)

    def run(self) -> float | None:
        """Try what is due. In how many seconds to come again; None where nothing waits."""
        due = self.sender.run()
        return None if due is None else (due - self.now).total_seconds()

    def drain(self) -> None:
        """Go on, at the times that the sender asks for, until nothing waits."""
        for _ in range(60):
            rest = self.run()
            if rest is None:
                return
            self.now += timedelta(seconds=max(rest, 0))
        raise AssertionError(self.state.letters("waiting", "dead"))

    def all_is_well(self) -> bool:
        """Whether everything arrived once, in its order."""
        return self.heard() == [f"[HIGH] {key}" for key in KEYS] and self.state.letters("waiting", "dead") == []


@pytest.fixture
def running() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def bot(running: ExitStack, folder: Path, **changes: Any) -> tuple[FeishuDouble, Channel]:
    double = running.enter_context(FeishuDouble(SECRET))
    double.limits = False
    settings = {"type": "feishu", "url": double.url, "secret": SECRET} | changes

    def heard() -> list[str]:
        return [request.json["card"]["header"]["title"]["content"] for request in double.taken]

    channel = Channel(folder, settings, heard, lambda: len(double.received))
    running.callback(channel.state.close)
    return double, channel


def chat(running: ExitStack, folder: Path) -> tuple[SlackDouble, Channel]:
    double = running.enter_context(SlackDouble())

    def heard() -> list[str]:
        return [request.json["blocks"][0]["text"]["text"] for request in double.taken]

    channel = Channel(folder, {"type": "slack", "url": double.url}, heard, lambda: len(double.received))
    running.callback(channel.state.close)
    return double, channel


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """What the log says, and why."""
    records = [record for record in caplog.records if record.name == "exporter.notify.sender"]
    return [(record.getMessage(), str(vars(record)["fields"].get("error", ""))) for record in records]


@pytest.fixture(autouse=True)
def _everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


TRYING, REFUSES = "notifications fail; trying again", "a channel refuses messages; they wait for another configuration"
AGAIN = ("notifications arrive again", "")


def test_feishu_that_does_not_accept_the_signature_is_left_alone_until_somebody_has_put_it_right(
    running: ExitStack, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    double, channel = bot(running, tmp_path, secret="another-secret")
    channel.run()
    channel.now += timedelta(days=2)
    channel.run()
    assert channel.tried() == 1
    assert [letter.reason for letter in channel.state.letters("waiting")] == ["refused", None, None]
    [(words, error)] = told(caplog)
    assert words == REFUSES
    assert "19021" in error
    assert "secret" in error.partition("hint: ")[2]
    assert "clock" in error.partition("hint: ")[2]
    assert not any(word in caplog.text for word in ("another-secret", double.path.rpartition("/")[2]))
    right = config([{"name": "x", **channel.settings, "secret": SECRET}], tmp_path)
    channel.sender.configure(lanes(right), right.notify)
    channel.drain()
    assert channel.all_is_well()
    assert told(caplog)[1:] == [AGAIN]


def test_feishu_that_refuses_a_clock_which_is_off_has_everything_when_the_clock_is_right(
    running: ExitStack, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    double, channel = bot(running, tmp_path)
    double.then(*[double.skewed(7200)] * 3)
    channel.drain()
    assert channel.all_is_well()
    assert channel.tried() == 6
    [(words, error), again] = told(caplog)
    assert (words, again) == (TRYING, AGAIN)
    assert "clock is 2 hours ahead" in error


@pytest.mark.parametrize("code", [11232, 9499])
def test_feishu_that_gets_too_much_is_given_longer_and_longer_rests(
    running: ExitStack, tmp_path: Path, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    double, channel = bot(running, tmp_path)
    double.then(*[double.said(code, "too many request")] * 3)
    rests = []
    for _ in range(3):
        rests.append(channel.run())
        channel.now += timedelta(seconds=rests[-1] or 0)
    assert rests == [5, 10, 20]
    channel.drain()
    assert channel.all_is_well()
    assert channel.tried() == 6
    [(words, error), again] = told(caplog)
    assert (words, again) == (TRYING, AGAIN)
    assert str(code) in error


@pytest.mark.parametrize("page", [HTML, Answer(502, "<html>bad gateway", "text/html")])
def test_a_page_in_place_of_feishus_answer_is_no_acknowledgement(
    running: ExitStack, tmp_path: Path, caplog: pytest.LogCaptureFixture, page: Answer
) -> None:
    double, channel = bot(running, tmp_path)
    double.then(page, page)
    channel.drain()
    assert channel.all_is_well()
    assert channel.tried() == 5
    [(words, error), again] = told(caplog)
    assert (words, again) == (TRYING, AGAIN)
    assert "<" not in error, "no page in the log"


def test_slack_is_given_the_rest_that_it_asks_for_and_not_a_second_less(
    running: ExitStack, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    double, channel = chat(running, tmp_path)
    double.then(double.throttling(37))
    assert channel.run() == 37
    channel.now += timedelta(seconds=36.9)
    channel.run()
    assert channel.tried() == 1
    channel.drain()
    assert channel.all_is_well()
    assert channel.tried() == 4
    assert [words for words, _ in told(caplog)] == [TRYING, AGAIN[0]]


def test_slack_without_its_webhook_is_left_alone_until_there_is_another(
    running: ExitStack, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    double, channel = chat(running, tmp_path)
    double.then(double.refusing())
    channel.run()
    channel.now += timedelta(days=2)
    channel.run()
    assert channel.tried() == 1
    [(words, error)] = told(caplog)
    assert words == REFUSES
    assert "404: no_service" in error
    assert "hint: " in error
    assert double.path.rpartition("/")[2] not in caplog.text
    channel.sender.configure(channel.lanes, channel.config.notify)
    channel.drain()
    assert channel.all_is_well()


def test_a_mail_server_that_is_down_for_a_while_gets_everything_when_it_is_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mail = Mail(tmp_path, "tls", port=free_port())
    with mail:
        pass  # its certificate is there, and it is not
    settings = {"type": "email", "host": "localhost", "port": mail.port, "security": "tls"}
    settings |= {"sender": "costs@example.com", "recipients": ["a@example.com"], "ca_file": str(mail.ca_file)}
    channel = Channel(tmp_path, settings, lambda: [letter["Subject"] for letter in mail.mails], lambda: 0)
    rests = []
    for _ in range(4):
        rests.append(channel.run())
        channel.now += timedelta(seconds=rests[-1] or 0)
    assert rests == [5, 10, 20, 40]
    with Mail(tmp_path, "tls", port=mail.port) as back:
        mail = back
        channel.drain()
    assert channel.all_is_well()
    assert len({letter["Message-ID"] for letter in mail.mails}) == 3
    [(words, error), again] = told(caplog)
    assert (words, again) == (TRYING, AGAIN)
    assert f"SMTP server localhost:{mail.port}" in error
    channel.state.close()


def test_a_mail_server_that_breaks_off_after_the_first_of_three_gets_the_other_two_alone(tmp_path: Path) -> None:
    with Mail(tmp_path, "tls") as mail:
        settings = {"type": "email", "host": "localhost", "port": mail.port, "security": "tls"}
        settings |= {"sender": "costs@example.com", "recipients": ["a@example.com"], "ca_file": str(mail.ca_file)}
        channel = Channel(tmp_path, settings, lambda: [letter["Subject"] for letter in mail.mails], lambda: 0)
        mail.data_replies.extend(["250 taken", "421 going down", "451 not yet"])
        channel.drain()
        # The scripted 250 took the first without keeping it.
        assert channel.heard() == ["[HIGH] 2", "[HIGH] 3"]
        assert channel.state.letters("waiting", "dead") == []
        channel.state.close()
