"""The outbox, emptied: nothing lost, nothing doubled, each failure with its own rest."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from exporter.config.notify import QuietSettings
from exporter.errors import Refused, Rejected, TooMany, Unreachable
from exporter.notify.message import read
from exporter.notify.sender import quiet_until
from tests.notify.house import NOON, House, house


@pytest.fixture
def one(tmp_path: Path) -> Iterator[House]:
    found = house(tmp_path, "a")
    yield found
    found.state.close()


@pytest.fixture
def two(tmp_path: Path) -> Iterator[House]:
    found = house(tmp_path, "a", "b")
    yield found
    found.state.close()


def down(times: int) -> list[Unreachable]:
    return [Unreachable("it is down") for _ in range(times)]


def test_messages_go_out_in_their_order_to_every_channel(two: House) -> None:
    two.put("1", "2", "3")
    assert two.run() is None
    assert two.scripts["a"].keys == two.scripts["b"].keys == ["1", "2", "3"]
    assert two.state.waiting() == {}


def test_what_was_acknowledged_is_never_sent_again(one: House) -> None:
    one.put("1")
    one.run()
    one.put("1")
    one.another().run()
    assert one.scripts["a"].keys == ["1"]


def test_a_channel_that_is_down_for_a_while_gets_everything_once_and_in_order(one: House) -> None:
    one.scripts["a"].errors = [*down(6)]
    one.put("1", "2")
    one.drain()
    assert one.scripts["a"].keys == ["1", "2"]
    assert len(one.scripts["a"].tried) == 8


def test_rests_grow_and_end_growing(one: House) -> None:
    one.scripts["a"].errors = down(12)
    one.put("1")
    rests = []
    for _ in range(12):
        due = one.run()
        assert due is not None
        rests.append((due - one.now).total_seconds())
        one.now = due
    assert rests == [5, 10, 20, 40, 80, 160, 320, 600, 600, 600, 600, 600]


def test_nothing_is_tried_before_its_time(one: House) -> None:
    one.scripts["a"].errors = down(1)
    one.put("1")
    one.run()
    one.later(seconds=4)
    assert len(one.scripts["a"].tried) == 1
    one.later(seconds=1)
    assert one.scripts["a"].keys == ["1"]


def test_retry_after_is_kept_by_the_whole_channel_and_over_a_restart(one: House) -> None:
    one.scripts["a"].errors = [TooMany("slow down", retry_after=timedelta(minutes=7))]
    one.put("1", "2")
    assert one.run() == NOON + timedelta(minutes=7)
    one.now += timedelta(minutes=6, seconds=59)
    one.another().run()
    assert len(one.scripts["a"].tried) == 1
    one.now += timedelta(seconds=1)
    one.another().run()
    assert one.scripts["a"].keys == ["1", "2"]


def test_a_channel_that_refuses_us_is_not_asked_again_until_it_is_configured_anew(one: House) -> None:
    one.scripts["a"].errors = [Refused("no such bot", hint="copy the address")]
    one.put("1", "2")
    one.run()
    one.later(hours=30)
    assert len(one.scripts["a"].tried) == 1
    assert one.state.waiting() == {"a": 2}
    one.sender.configure(one.lanes, one.config.notify)
    one.run()
    assert one.scripts["a"].keys == ["1", "2"]


def test_a_channel_in_trouble_does_not_hold_up_another(two: House) -> None:
    two.scripts["a"].errors = [Refused("no"), *down(1)]
    two.put("1", "2")
    two.run()
    assert two.scripts["b"].keys == ["1", "2"]
    assert two.state.waiting() == {"a": 2}


def test_a_message_that_is_rejected_is_put_aside_and_the_next_one_is_sent(one: House) -> None:
    one.scripts["a"].errors = [Rejected("too odd")]
    one.put("1", "2")
    one.run()
    assert one.scripts["a"].keys == ["2"]
    (dead,) = one.letters("dead")
    assert (dead.key, dead.reason, dead.said) == ("1", "rejected", "too odd")
    assert one.state.try_again(one.now) == 1
    one.run()
    assert one.scripts["a"].keys == ["2", "1"]


def test_a_message_that_nobody_takes_is_given_up_after_days_and_kept_for_people(one: House) -> None:
    one.scripts["a"].errors = [*down(10_000)]
    one.put("1")
    one.drain(tries=2_000)
    (dead,) = one.letters("dead")
    assert (dead.reason, dead.said) == ("expired", "it is down")
    assert dead.ended is not None
    assert timedelta(days=3) <= dead.ended - NOON <= timedelta(days=3, minutes=10)


def test_a_message_that_a_channel_cannot_digest_does_not_keep_others_back_for_ever(one: House) -> None:
    one.put("poison", "1")
    one.scripts["a"].errors = down(8)
    one.drain()
    assert one.scripts["a"].keys == ["1", "poison"]


def test_a_fault_in_a_channel_of_ours_loses_nothing(one: House, caplog: pytest.LogCaptureFixture) -> None:
    one.scripts["a"].errors = [KeyError("oops")]
    one.put("1")
    one.drain()
    assert one.scripts["a"].keys == ["1"]
    assert "a channel has a fault" in caplog.text


def test_the_log_tells_when_a_channel_fails_and_when_it_recovers_and_nothing_between(
    one: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    one.scripts["a"].errors = down(6)
    one.put("1", "2")
    one.drain()
    assert [record.getMessage() for record in caplog.records] == [
        "notifications fail; trying again",
        "notifications arrive again",
    ]


def test_recipients_that_have_a_message_are_named_at_the_next_try(one: House) -> None:
    one.scripts["a"].errors = [Unreachable("not now for b", done=("a@x",)), Unreachable("again", done=("b@x",))]
    one.put("1")
    one.drain()
    assert [message.done for message in one.scripts["a"].tried] == [(), ("a@x",), ("a@x", "b@x")]


def test_counts_survive_and_say_what_happened(one: House) -> None:
    one.scripts["a"].errors = [*down(2), Rejected("odd")]
    one.put("1", "2")
    one.drain()
    counts = {(c.name.rpartition("notification")[2], c.label): int(c.value) for c in one.state.counters()}
    assert counts == {
        ("s_total", "a"): 1,
        ("_failures_total", "a unavailable"): 2,
        ("_failures_total", "a rejected"): 1,
    }


def test_what_was_sent_is_forgotten_after_a_while_and_what_waits_is_not(one: House) -> None:
    one.put("1")
    one.run()
    one.later(days=13)
    assert len(one.letters("sent")) == 1
    one.later(days=2)
    assert one.letters("sent") == []


def test_a_channel_that_is_configured_no_more_gets_nothing_and_its_messages_end(two: House, tmp_path: Path) -> None:
    two.put("1")
    alone = house(tmp_path, "a")
    alone.run()
    assert alone.state.waiting() == {"b": 1}
    alone.later(days=3)
    assert [(dead.channel, dead.reason) for dead in alone.letters("dead")] == [("b", "expired")]
    alone.state.close()


def test_a_clock_that_is_set_back_does_not_stop_the_mail(one: House) -> None:
    one.scripts["a"].errors = down(1)
    one.put("1")
    one.run()
    one.now -= timedelta(days=900)
    one.another().run()
    assert one.scripts["a"].keys == ["1"]


# --- pace ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "least"), [(5, 0), (6, 1), (100, 19), (101, 60), (205, 120)])
def test_a_bot_gets_five_messages_a_second_and_a_hundred_a_minute(tmp_path: Path, count: int, least: float) -> None:
    from exporter.store.state import State
    from tests.notify.house import Script, config

    settings = config([{"name": "bot", "type": "feishu", "url": "http://127.0.0.1:9/x"}], tmp_path)
    found = House(State(tmp_path / "s.sqlite"), settings, {"bot": Script()})
    found.put(*map(str, range(count)))
    found.drain(tries=500)
    assert found.scripts["bot"].keys == [*map(str, range(count))]
    assert (found.now - NOON).total_seconds() == least
    found.state.close()


# --- quiet hours -----------------------------------------------------------------------------------------------------

NIGHT = {"start": "22:00", "end": "07:00", "timezone": "Europe/Berlin"}


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2024-03-15T20:59", None),
        ("2024-03-15T21:00", "2024-03-16T06:00"),
        ("2024-03-16T05:59", "2024-03-16T06:00"),
        ("2024-03-16T06:00", None),
        ("2024-03-30T23:00", "2024-03-31T05:00"),  # the clocks go forward that night
    ],
)
def test_quiet_hours_are_those_of_a_time_zone(now: str, until: str | None) -> None:
    found = quiet_until(QuietSettings(**NIGHT), datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert found == (datetime.fromisoformat(until).replace(tzinfo=UTC) if until else None)


def test_quiet_hours_within_a_day() -> None:
    lunch = QuietSettings(start="12:00", end="13:00")
    assert quiet_until(lunch, NOON) == NOON + timedelta(hours=1)
    assert quiet_until(lunch, NOON + timedelta(hours=1)) is None


@pytest.fixture
def night(tmp_path: Path) -> Iterator[House]:
    found = house(tmp_path, "a", quiet_hours=NIGHT)
    found.now = datetime(2024, 3, 15, 23, tzinfo=UTC)
    yield found
    found.state.close()


def test_what_comes_at_night_is_one_message_in_the_morning(night: House) -> None:
    night.put("1", severity="low")
    night.put("2", severity="high")
    assert night.run() == datetime(2024, 3, 16, 6, tzinfo=UTC)
    night.put("3", fingerprint="1", status="resolved", severity="low")
    night.run()
    night.now = datetime(2024, 3, 16, 6, tzinfo=UTC)
    night.run()
    (digest,) = night.scripts["a"].taken
    assert (digest.kind, digest.severity) == ("digest", "high")
    assert [line.partition("]")[0] for line in digest.lines] == ["[HIGH", "[RESOLVED"]
    assert night.state.waiting() == {}
    assert len(night.letters("bundled")) == 3
    night.put("1", "2", "3")
    night.run()
    assert len(night.scripts["a"].taken) == 1


def test_a_single_message_of_the_night_stays_itself(night: House) -> None:
    night.put("1")
    night.run()
    night.later(hours=10)
    assert night.scripts["a"].keys == ["1"]


def test_critical_messages_pass_at_night(night: House) -> None:
    night.put("1", severity="low")
    night.put("2", severity="critical")
    night.run()
    assert night.scripts["a"].keys == ["2"]


def test_critical_messages_can_be_held_too(tmp_path: Path) -> None:
    found = house(tmp_path, "a", quiet_hours=NIGHT | {"critical": "hold"})
    found.now = datetime(2024, 3, 15, 23, tzinfo=UTC)
    found.put("2", severity="critical")
    found.run()
    assert found.scripts["a"].keys == []
    found.later(hours=8)
    assert found.scripts["a"].keys == ["2"]
    found.state.close()


def test_a_digest_that_a_channel_does_not_take_at_once_is_still_one(night: House) -> None:
    night.put("1", "2")
    night.run()
    night.now = datetime(2024, 3, 16, 6, tzinfo=UTC)
    night.scripts["a"].errors = down(2)
    night.drain()
    assert len({message.key for message in night.scripts["a"].tried}) == 1
    assert len(night.scripts["a"].taken) == 1


def test_the_outbox_keeps_a_message_word_for_word(one: House) -> None:
    one.put("1", lines=("a ☃ line",), facts=(("x", "y"),))
    (letter,) = one.letters("waiting")
    message = read(letter.body)
    assert message.lines == ("a ☃ line",)
    assert read(message.written()) == message
