"""From a finding to people, all of it real but the people: the exporter, Prometheus, Alertmanager and four channels."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter import snapshot
from exporter.notify.message import Message, read
from exporter.notify.news import parts
from exporter.polling.sources import Paths
from exporter.store.outbox import Letter
from exporter.store.state import State
from exporter.testing.doubles import FeishuDouble, SlackDouble, WebhookDouble
from tests.e2e.daemon import Daemon, stop_hard
from tests.e2e.stack import alertmanager_config, prometheus_config
from tests.neighbours import Server, Webhook, alertmanager, free_port, prometheus, until
from tests.notify.smtp import Mail

pytestmark = pytest.mark.e2e

# The demo's gateway runs away on the 14th and 15th of every month; days settle after 48 hours.
RUNNING_AWAY, OVER = "2024-03-15T12:00:00Z", "2024-03-19T12:00:00Z"
SECRET = "hush-hush"


@dataclass
class People:
    """The four channels, in the order in which they are configured."""

    chat: SlackDouble
    bot: FeishuDouble
    mail: Mail
    hook: WebhookDouble
    channels: list[dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        mail = self.mail
        self.channels = [
            {"name": "chat", "type": "slack", "url": self.chat.url},
            {"name": "bot", "type": "feishu", "url": self.bot.url, "secret": SECRET, "timeout": "4m"},
            {
                "name": "mail",
                "type": "email",
                "host": "localhost",
                "port": mail.port,
                "security": mail.security,
                "username": mail.username,
                "password": mail.password,
                "ca_file": str(mail.ca_file),
                "sender": "costs@example.com",
                "recipients": ["finops@example.com"],
            },
            {"name": "hook", "type": "webhook", "url": self.hook.url, "secret": SECRET},
        ]

    def heard(self) -> Mapping[str, list[str]]:
        """Channel → each message that it acknowledged, as one text."""
        return {
            "chat": [_flat(request.json) for request in self.chat.taken],
            "bot": [_flat(request.json) for request in self.bot.taken],
            "mail": [_letter(mail) for mail in self.mail.mails],
            "hook": [_flat(request.json) for request in self.hook.taken],
        }

    def all_heard(self, *words: str) -> bool:
        """Whether each has had a message with all these words."""
        return all(any(all(word in text for word in words) for text in texts) for texts in self.heard().values())


def _flat(body: Any) -> str:
    if isinstance(body, Mapping):
        return "\n".join(_flat(each) for each in body.values())
    if isinstance(body, list):
        return "\n".join(_flat(each) for each in body)
    return str(body)


def _letter(mail: Any) -> str:
    return f"{mail['Subject']}\n{mail.get_body(('plain',)).get_content()}"


@dataclass
class Stack:
    """The exporter's folder and configuration, and its neighbours, which find it at one port."""

    folder: Path
    people: People
    prometheus: Server
    manager: Server
    oncall: Webhook
    port: int

    def daemon(self, now: str) -> Daemon:
        """The exporter, at another hour of its own clock."""
        return Daemon(self.folder / "cloudspend.yml", ready="/-/ready", port=self.port, CLOUDSPEND_NOW=now)

    def letters(self) -> list[Letter]:
        """What is in the outbox, sent or not."""
        with State(Paths(self.folder / "data").state) as state:
            return state.letters("waiting", "sent", "bundled", "dead")

    def finding(self) -> Mapping[str, Any]:
        """The gateway that runs away, as the newest snapshot has it."""
        published = snapshot.load(Paths(self.folder / "data").snapshots)
        assert published is not None
        [found] = [each for each in published.check()["findings"] if each["service"] == "EC2 - Other"]
        return dict(found)

    def sent(self) -> bool:
        """Whether nothing waits."""
        return {letter.state for letter in self.letters()} == {"sent"}

    def told_once(self) -> bool:
        """Whether nothing waits, and each channel has had as many messages as were meant for it."""
        meant = Counter(letter.channel for letter in self.letters())
        return self.sent() and meant == {name: len(texts) for name, texts in self.people.heard().items()}


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    port = free_port()
    exporter = f"127.0.0.1:{port}"
    with ExitStack() as running:
        enter = running.enter_context
        people = People(
            enter(SlackDouble()),
            enter(FeishuDouble(SECRET)),
            enter(Mail(tmp_path, "tls")),
            enter(WebhookDouble(SECRET)),
        )
        document = {
            "store": {"path": "data"},
            "sources": [{"name": "demo", "provider": "demo"}],
            # A smaller event shares the days and the provider: without it the group of alerts is the gateway alone.
            "anomalies": {"minimum_cost": 100, "new_cost": 100},
            "notify": {
                "external_url": "https://costs.example.com",
                "grafana_url": "https://graphs.example.com",
                "channels": people.channels,
            },
        }
        config = tmp_path / "cloudspend.yml"
        config.write_text(yaml.safe_dump(document))
        oncall = enter(Webhook())
        receiver = f"http://{exporter}/receiver/alertmanager"
        manager = enter(alertmanager(tmp_path, alertmanager_config(tmp_path, receiver, oncall.url)))
        path = prometheus_config(tmp_path, exporter, manager.url.removeprefix("http://"))
        # A reload forgets for a moment where Alertmanager is; what could not be sent then is sent again after this.
        server = enter(prometheus(tmp_path, path, "--rules.alert.resend-delay=1s"))
        # Polled and judged beforehand: the daemon's own worker gives way to everything else on the machine.
        collect = [sys.executable, "-m", "exporter", "collect", "--config", config]
        environment = {**os.environ, "CLOUDSPEND_NOW": RUNNING_AWAY}
        subprocess.run(collect, env=environment, capture_output=True, timeout=280, check=True)
        yield Stack(tmp_path, people, server, manager, oncall, port)


def about(letters: list[Letter], alert: str, *states: str) -> list[str]:
    """The channels of messages about an alert, in these states."""
    return sorted(each.channel for each in letters if each.state in states and _says(each, alert))


def _says(letter: Letter, words: str) -> bool:
    message: Message = read(letter.body)
    return words in message.heading


def kill(daemon: Daemon) -> None:
    """kill -9, workers included."""
    for pid in daemon.worker_pids():
        stop_hard(pid)
    stop_hard(daemon.process.pid)
    daemon.process.wait()


def end_at_once(stack: Stack) -> None:
    """Let alerts end with what they are about: the half hour that bridges restarts has been seen to bridge them."""
    for path in (stack.folder / "rules").glob("*.yml"):
        rules = yaml.safe_load(path.read_text())
        for rule in (rule for group in rules["groups"] for rule in group["rules"]):
            rule.pop("keep_firing_for", None)
        path.write_text(yaml.safe_dump(rules))
    stack.prometheus.process.send_signal(signal.SIGHUP)


CHANNELS = ["bot", "chat", "hook", "mail"]
GATEWAY = "EC2 - Other in us-east-1 costs more"
EXPLAINED = "https://costs.example.com/#anomalies"
DRAWN = "https://graphs.example.com/d/cloudspend-anomalies?var-currency=USD&var-provider=aws"


def test_a_finding_reaches_people_once_whatever_dies_in_between_and_so_does_its_end(stack: Stack) -> None:
    people = stack.people
    people.bot.then(people.bot.failing())  # the answer that a dead exporter never reads
    people.bot.hold()
    with stack.daemon(RUNNING_AWAY) as daemon:
        finding = stack.finding()
        until(lambda: about(stack.letters(), GATEWAY, "waiting", "sent") == CHANNELS, "the alert is in the outbox")
        until(lambda: people.bot.received != [], "the bot has a message that it does not answer")
        kill(daemon)
    people.bot.release()
    letters = stack.letters()
    assert {letter.channel for letter in letters if letter.state == "sent"} == {"chat"}, "the sender was in the middle"
    assert {letter.channel for letter in letters if letter.state == "waiting"} >= {"bot", "hook", "mail"}

    with stack.daemon(RUNNING_AWAY) as daemon:
        until(stack.sent, "everything has been sent")
        until(lambda: people.all_heard(GATEWAY, finding["sentence"], *parts(finding)), "people know what has moved")
        until(lambda: people.all_heard(GATEWAY, EXPLAINED, DRAWN), "people know where to read on")
        [told] = [request.json for request in people.hook.taken if GATEWAY in request.json["title"]]
        assert told["severity"] == finding["severity"], "the finding's own, not the word that Alertmanager routes by"
        daemon.stop()

    with stack.daemon(OVER) as daemon:
        until(lambda: stack.finding()["status"] == "resolved", "the demo is polled at its later hour")
        daemon.wait_for("cloudspend_anomaly_info", None, fingerprint=finding["fingerprint"])
        end_at_once(stack)
        until(lambda: people.all_heard("[RESOLVED]", GATEWAY), "people know that it is over")
        until(stack.told_once, "everything has been sent, to each channel once")

    keys = [request.headers["idempotency-key"] for request in people.hook.taken]
    assert sorted(set(keys)) == sorted(keys)
    firing = [each for each in stack.letters() if _says(each, GATEWAY) and not read(each.body).over]
    assert sorted(each.channel for each in firing) == CHANNELS, "no restart has told it anew"
