"""Who looks for news and empties the outbox: the thread of the daemon, and `collect --notify`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from exporter import snapshot
from exporter.clock import Clock
from exporter.notify import postman as subject
from exporter.notify.lanes import lanes
from exporter.notify.message import read
from exporter.notify.postman import Postman, Reporter, deliver_once
from exporter.notify.sender import post
from exporter.snapshot import Manifest
from exporter.store.outbox import Letter
from exporter.store.state import State
from exporter.testing.doubles import WebhookDouble
from exporter.testing.notifier import sample
from tests.neighbours import until
from tests.notify.house import NOON, config
from tests.notify.test_news import finding

LONG = timedelta(minutes=2)


class Hand(Clock):
    """A clock that a test sets."""

    def now(self) -> datetime:
        return self.offset + NOON

    def later(self, **length: float) -> None:
        object.__setattr__(self, "offset", self.offset + timedelta(**length))


class Office:
    """A state file, snapshots, a channel, and the postman over them."""

    def __init__(self, folder: Path, hook: WebhookDouble) -> None:
        self.folder, self.hook = folder, hook
        self.path, self.snapshots = folder / "state.sqlite", folder / "snapshots"
        self.clock: Clock = Clock()
        self.channels = [{"name": "hook", "type": "webhook", "url": hook.url}]

    def config(self, **notify: Any) -> Any:
        return config(self.channels, self.folder, **notify)

    def publish(self, *findings: dict[str, Any]) -> Path:
        return snapshot.publish(self.snapshots, Manifest(NOON), b"", {"findings": list(findings)})

    def put(self, *keys: str) -> None:
        with State(self.path) as state:
            for key in keys:
                message = sample(key=key, fingerprint=key)
                state.post([post(message, lanes(self.config()))], self.clock.now())

    def letters(self, *states: str) -> list[Letter]:
        with State(self.path) as state:
            return state.letters(*(states or ("waiting",)))

    @contextmanager
    def postman(self, **notify: Any) -> Iterator[Postman]:
        found = Postman(self.config(**notify), self.path, self.snapshots, self.clock)
        found.start()
        try:
            yield found
        finally:
            self.hook.release()
            found.stop()

    def deliver(self, patience: timedelta = LONG) -> dict[str, int]:
        return deliver_once(self.config(), self.path, self.snapshots, self.clock, patience)

    @property
    def arrived(self) -> list[str]:
        return [request.headers["idempotency-key"] for request in self.hook.taken]

    def wait_for(self, *keys: str) -> None:
        until(lambda: self.arrived == list(keys), f"{keys} have arrived")


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with WebhookDouble() as hook:
        yield Office(tmp_path, hook)


# --- from a snapshot into the outbox -------------------------------------------------------------------------------


@pytest.fixture
def reporter(office: Office) -> Iterator[Reporter]:
    office.clock = Hand()
    settings = office.config()
    with State(office.path) as state:
        yield Reporter(state, office.snapshots, office.clock, lanes(settings), settings.notify)


def test_what_a_snapshot_tells_is_put_into_the_outbox_once(office: Office, reporter: Reporter) -> None:
    assert reporter.look() == 0, "there is no snapshot yet"
    office.publish(finding())
    assert [reporter.look(), reporter.look()] == [1, 0]
    office.publish(finding())
    assert reporter.look() == 0, "another snapshot says the same"
    office.publish(finding(), finding(fingerprint="f2"))
    assert reporter.look() == 1
    assert [read(letter.body).fingerprint for letter in office.letters()] == ["f1", "f2"]


def test_after_a_restart_or_a_reload_nothing_is_told_again(office: Office, reporter: Reporter) -> None:
    office.publish(finding())
    reporter.look()
    settings = office.config()
    reporter.configure(lanes(settings), settings.notify)
    assert reporter.look() == 0
    with State(office.path) as state:
        assert Reporter(state, office.snapshots, office.clock, lanes(settings), settings.notify).look() == 0


def test_what_a_cool_down_keeps_back_is_told_when_it_ends_without_another_snapshot(
    office: Office, reporter: Reporter
) -> None:
    office.publish(finding())
    reporter.look()
    office.publish(finding(status="resolved", ended="2024-03-15"))
    assert isinstance(office.clock, Hand)
    office.clock.later(minutes=59)
    assert reporter.look() == 0
    office.clock.later(minutes=1)
    assert [reporter.look(), reporter.look()] == [1, 0]


def test_a_snapshot_that_cannot_be_read_is_looked_at_again(office: Office, reporter: Reporter) -> None:
    published = office.publish(finding()) / "check.json"
    whole = published.read_bytes()
    published.write_bytes(whole[:-5])
    assert reporter.look() == 0
    published.write_bytes(whole)
    assert reporter.look() == 1


# --- the thread ----------------------------------------------------------------------------------------------------


def test_the_thread_sends_what_waits_and_what_it_is_nudged_about(office: Office) -> None:
    office.put("1")
    with office.postman() as postman:
        office.wait_for("1")
        office.put("2")
        postman.nudge()
        office.wait_for("1", "2")
    assert office.letters() == []


@pytest.mark.parametrize("direct", [True, False])
def test_it_looks_at_snapshots_only_where_it_tells_by_itself(office: Office, direct: bool) -> None:
    office.publish(finding())
    office.put("1")
    with office.postman(direct=direct):
        until(lambda: "1" in office.arrived and len(office.arrived) >= 1 + direct, "all has arrived")
    with State(office.path) as state:
        assert bool(state.told()) is direct


def test_without_a_channel_there_is_no_thread_until_a_reload_brings_one(office: Office) -> None:
    office.put("1")
    whole, office.channels = office.config(), []
    with office.postman() as postman:
        assert not office.path.with_name("outbox.lock").exists()
        postman.configure(whole)
        office.wait_for("1")


def test_a_reload_lets_a_channel_go_that_refused_us(office: Office) -> None:
    office.hook.then(office.hook.refusing())
    office.put("1", "2")
    with office.postman() as postman:
        until(lambda: any(letter.attempts for letter in office.letters()), "the channel has refused")
        assert office.arrived == []
        postman.configure(office.config())
        office.wait_for("1", "2")


def test_a_stop_waits_for_the_message_that_is_on_its_way_and_starts_no_other(office: Office) -> None:
    office.put("1", "2")
    office.hook.hold()
    with office.postman() as postman:
        until(lambda: len(office.hook.received) == 1, "the first is on its way")
        # Let go when `stop` has said so: then the answer comes, and the second must not be tried.
        postman._stopping = True
        office.hook.release()
    assert office.arrived == ["1"]
    assert [letter.key for letter in office.letters()] == ["2"]


def test_an_outbox_that_cannot_be_used_is_told_once_and_used_when_it_heals(
    office: Office, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "exporter.notify.postman")
    tries: list[Path] = []
    whole = subject.State

    def opened(path: Path, patience: float) -> State:
        tries.append(path)
        return whole(path.parent / "nowhere" / "state.sqlite" if len(tries) < 4 else path, patience)

    office.put("1")
    (office.folder / "nowhere").write_text("not a folder")
    monkeypatch.setattr(subject, "State", opened)
    monkeypatch.setattr(subject, "_REST", timedelta(milliseconds=10))
    with office.postman():
        office.wait_for("1")
        until(lambda: "the outbox can be used again" in caplog.text, "it says so")
    said = [record.getMessage() for record in caplog.records if record.name == "exporter.notify.postman"]
    assert said == ["cannot use the outbox; trying again", "the outbox can be used again"]


def test_a_fault_of_ours_does_not_end_it(
    office: Office, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    faults = iter([KeyError("oops")])
    run = subject.Sender.run

    def faulty(self: Any) -> datetime | None:
        for fault in faults:
            raise fault
        return run(self)

    monkeypatch.setattr(subject.Sender, "run", faulty)
    monkeypatch.setattr(subject, "_REST", timedelta(milliseconds=10))
    office.put("1")
    with office.postman():
        office.wait_for("1")
    assert "has a fault; going on" in caplog.text


# --- one sender ----------------------------------------------------------------------------------------------------


def test_two_senders_do_not_both_send(office: Office) -> None:
    office.put("1")
    office.hook.hold()
    with office.postman():
        until(lambda: len(office.hook.received) == 1, "the thread is sending")
        assert office.deliver(timedelta(seconds=0.5)) == {"hook": 1}, "the other one waits, and gives up"
        office.hook.release()
        office.wait_for("1")
    assert len(office.hook.received) == 1


def test_the_thread_waits_for_another_sender_to_end(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[bool] = []
    asked = subject._alone

    @contextmanager
    def counted(path: Path) -> Iterator[bool]:
        with asked(path) as alone:
            tries.append(alone)
            yield alone

    monkeypatch.setattr(subject, "_alone", counted)
    monkeypatch.setattr(subject, "_TURN", timedelta(milliseconds=10))
    office.put("1")
    with asked(office.path), office.postman():
        until(lambda: len(tries) > 2, "the thread has asked")
        assert office.hook.received == []
    with office.postman():
        office.wait_for("1")
    assert tries[:3] == [False] * 3


# --- once ----------------------------------------------------------------------------------------------------------


def test_collect_tells_what_is_new_and_drains_the_outbox(office: Office) -> None:
    office.clock = Clock(frozen=NOON)
    office.put("1")
    office.publish(finding())
    assert office.deliver() == {}
    assert [each.json["kind"] for each in office.hook.taken] == ["anomaly", "anomaly"]
    assert office.deliver() == {}
    assert len(office.hook.received) == 2


def test_a_rest_is_waited_for_within_its_patience_though_the_clock_stands_still(office: Office) -> None:
    office.clock = Clock(frozen=NOON)
    office.put("1")
    office.hook.then(office.hook.throttling(1))
    assert office.deliver() == {}
    assert office.arrived == ["1"]


@pytest.mark.parametrize("answer", ["throttling", "refusing"])
def test_what_cannot_be_sent_in_time_is_counted_and_left_for_the_next_run(office: Office, answer: str) -> None:
    office.put("1", "2")
    office.hook.then(office.hook.throttling(3600) if answer == "throttling" else office.hook.refusing())
    assert office.deliver() == {"hook": 2}
    assert len(office.hook.received) == 1
    [first, _] = office.letters()
    assert (first.attempts, first.reason) == (1, {"throttling": "throttled", "refusing": "refused"}[answer])


def test_what_waits_for_a_channel_that_is_configured_no_more_keeps_nobody_waiting(office: Office) -> None:
    office.put("1")
    office.channels = [{"name": "out", "type": "log"}]
    assert office.deliver() == {}
    assert [letter.channel for letter in office.letters()] == ["hook"]
