"""When to ask again, and for what."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from exporter.costs import Ask, Bill
from exporter.errors import REASONS
from exporter.periods import ALWAYS, Month, Window, midnight
from exporter.polling import schedule
from exporter.polling.sources import Source
from exporter.providers import Meter, Options, Provider, ProviderSpec
from exporter.store.state import SourceState

HOUR = timedelta(hours=1)
NOW = datetime(2024, 9, 20, 12, tzinfo=UTC)


class Never(Provider):
    def fetch(self, ask: Ask) -> Bill:
        raise AssertionError("a schedule asks nobody")


def connect(_options: Options, _meter: Meter) -> Provider:
    return Never()


def source(name: str = "a", history: timedelta | None = timedelta(days=60)) -> Source:
    spec = ProviderSpec("x", Options, connect, settles_after=48 * HOUR, poll_every=8 * HOUR, history=history)
    return Source(name, spec, Options(), 8 * HOUR, 48 * HOUR, 36 * HOUR, ())


def test_a_source_never_polled_is_due_and_one_polled_is_not_until_its_time() -> None:
    a, b, c = source("a"), source("b"), source("c")
    states = {
        "b": SourceState("b", next_due=NOW, asked_as=b.fingerprint),
        "c": SourceState("c", next_due=NOW + HOUR, asked_as=c.fingerprint),
    }
    assert schedule.due([a, b, c], states, NOW) == (a, b)


def test_a_source_whose_question_changed_is_due_at_once() -> None:
    tagged = replace(source(), tags=("team",))
    asked = SourceState("a", next_due=NOW + HOUR, asked_as=source().fingerprint)
    assert schedule.due([source()], {"a": asked}, NOW) == ()
    assert schedule.due([tagged], {"a": asked}, NOW) == (tagged,)
    assert schedule.due([tagged], {"a": replace(asked, asked_as=tagged.fingerprint)}, NOW) == ()


@given(st.text(min_size=1), st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_the_next_poll_comes_up_to_a_tenth_early_and_never_late(name: str, now: datetime) -> None:
    wait = schedule.after_success(source(name), now) - now
    assert 0.9 * 8 * HOUR <= wait <= 8 * HOUR
    assert schedule.after_success(source(name), now) - now == wait, "a restart does not move it"


def test_sources_spread_out() -> None:
    assert len({schedule.after_success(source(f"s{i}"), NOW) for i in range(20)}) == 20


def test_what_may_pass_by_itself_is_tried_soon_and_then_ever_later() -> None:
    waits = [schedule.after_failure(source(), NOW, "unavailable", failures) - NOW for failures in range(12)]
    assert waits[:4] == [timedelta(minutes=m) for m in (1, 2, 4, 8)]
    assert waits[-1] == 8 * HOUR
    assert waits == sorted(waits)


def test_what_a_person_must_mend_waits_for_the_regular_time() -> None:
    for reason in ("access_denied", "bad_data", "not_ready"):
        assert schedule.after_failure(source(), NOW, reason, 0) == NOW + 8 * HOUR


def test_a_throttled_source_decides_when_it_is_asked_again() -> None:
    assert schedule.after_failure(source(), NOW, "throttled", 5, timedelta(minutes=7)) == NOW + timedelta(minutes=7)


@given(st.sampled_from(REASONS), st.integers(0, 10**6))
def test_no_failure_is_retried_at_once_nor_later_than_the_regular_time(reason: str, failures: int) -> None:
    wait = schedule.after_failure(source(), NOW, reason, failures) - NOW
    assert timedelta(minutes=1) <= wait <= 8 * HOUR


def test_the_first_poll_asks_for_all_the_history_there_may_be() -> None:
    window = schedule.window(source(), None, NOW)
    assert window == Window(datetime(2024, 7, 1, tzinfo=UTC), datetime(2024, 9, 21, tzinfo=UTC))


def test_a_bill_in_files_is_always_read_whole() -> None:
    assert schedule.window(source(history=None), Window(NOW, NOW), NOW) == ALWAYS


def test_a_later_poll_asks_for_what_may_still_move() -> None:
    covered = Window(datetime(2024, 7, 1, tzinfo=UTC), datetime(2024, 9, 21, tzinfo=UTC))
    assert schedule.window(source(), covered, NOW).start == datetime(2024, 9, 1, tzinfo=UTC)
    covered = covered.join(Window(NOW, datetime(2024, 10, 10, tzinfo=UTC)))
    closes = datetime(2024, 10, 10, tzinfo=UTC)
    read = {hours: SourceState("a", last_success=closes + hours * HOUR) for hours in (-1, 0)}
    starts = {at: schedule.window(source(), covered, closes + 9 * HOUR, state).start for at, state in read.items()}
    assert starts == {-1: datetime(2024, 9, 1, tzinfo=UTC), 0: datetime(2024, 10, 1, tzinfo=UTC)}


def test_a_month_that_the_provider_calls_open_is_read_again_but_not_for_ever() -> None:
    covered = Window(datetime(2024, 7, 1, tzinfo=UTC), datetime(2024, 10, 20, tzinfo=UTC))

    def start(open_months: set[Month], now: datetime) -> datetime:
        state = SourceState("a", last_success=now - 8 * HOUR, open_months=frozenset(open_months))
        return schedule.window(source(), covered, now, state).start

    september, october = Month(2024, 9), Month(2024, 10)
    assert start({september, october}, datetime(2024, 10, 20, tzinfo=UTC)) == datetime(2024, 9, 1, tzinfo=UTC)
    assert start({october}, datetime(2024, 10, 4, tzinfo=UTC)) == datetime(2024, 10, 1, tzinfo=UTC)
    late = datetime(2024, 11, 20, tzinfo=UTC)
    held = covered.join(Window(late, late))
    state = SourceState("a", last_success=late - 8 * HOUR, open_months=frozenset({september, Month(2024, 11)}))
    assert schedule.window(source(), held, late, state).start == datetime(2024, 11, 1, tzinfo=UTC)


def test_days_that_went_by_unpolled_are_asked_for_too() -> None:
    covered = Window(datetime(2024, 5, 1, tzinfo=UTC), datetime(2024, 6, 15, tzinfo=UTC))
    assert schedule.window(source(), covered, NOW).start <= datetime(2024, 6, 14, tzinfo=UTC)


@given(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_every_day_that_has_not_settled_is_asked_for(now: datetime) -> None:
    window = schedule.window(source(), Window(now - timedelta(days=90), now), now)
    assert window.start <= midnight((now - 48 * HOUR).date())
    assert window.end >= now
    assert Decimal((window.end - window.start).total_seconds()) % 86400 == 0
