"""The calendar: half-open windows, months in any zone, settling."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.periods import ALWAYS, DAY, Cycle, Month, Recurrence, Window, day_of, midnight, settled_until

PACIFIC, BEIJING = ZoneInfo("America/Los_Angeles"), ZoneInfo("Asia/Shanghai")

instants = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
days = st.dates(date(1990, 1, 1), date(2090, 1, 1))
months = st.builds(Month, st.integers(1990, 2090), st.integers(1, 12))
windows = st.builds(lambda a, b: Window(min(a, b), max(a, b)), instants, instants)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_window_holds_its_start_and_not_its_end() -> None:
    window = Window.of_day(date(2024, 2, 29))
    assert utc("2024-02-29T00:00:00") in window
    assert utc("2024-02-29T23:59:59") in window
    assert utc("2024-03-01T00:00:00") not in window


def test_a_window_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot end"):
        Window(utc("2024-02-02T00:00:00"), utc("2024-02-01T00:00:00"))


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        Window(datetime(2024, 1, 1), datetime(2024, 1, 2))  # noqa: DTZ001


@given(windows)
def test_the_days_of_a_window_tile_it(window: Window) -> None:
    touched = list(window.days())
    assert touched == sorted(set(touched))
    if window.empty:
        assert touched == [] or midnight(touched[0]) < window.end
        return
    assert day_of(window.start) == touched[0]
    assert midnight(touched[-1]) < window.end <= midnight(touched[-1]) + DAY
    assert all(later - earlier == DAY for earlier, later in pairwise(touched))


@given(windows)
def test_the_months_of_a_window_cover_it_without_gaps(window: Window) -> None:
    touched = list(window.months())
    if window.empty:
        return
    assert touched[0].window().start <= window.start
    assert window.end <= touched[-1].window().end
    assert all(earlier.next() == later for earlier, later in pairwise(touched))
    parts = [part for part in (window.meet(month.window()) for month in touched) if part]
    assert sum((part.end - part.start for part in parts), timedelta(0)) == window.end - window.start


@given(windows, windows)
def test_two_windows_meet_in_what_lies_in_both(a: Window, b: Window) -> None:
    shared = a.meet(b)
    assert shared == b.meet(a)
    if shared is None:
        assert a.empty or b.empty or a.end <= b.start or b.end <= a.start
    else:
        assert not shared.empty
        assert a.covers(shared)
        assert b.covers(shared)
        assert a.join(b).covers(a)
        assert a.join(b).covers(b)


@given(windows)
def test_whole_days_widen_a_window_by_less_than_a_day_each_side(window: Window) -> None:
    whole = window.whole_days()
    assert whole.covers(window)
    assert window.start - whole.start < DAY
    assert whole.end - window.end < DAY
    assert whole.whole_days() == whole


@given(months)
def test_months_follow_each_other_without_a_gap_in_every_zone(month: Month) -> None:
    for zone in (UTC, PACIFIC, BEIJING):
        assert month.window(zone).end == month.next().window(zone).start
        assert Month.containing(month.window(zone).start, zone) == month
        assert Month.containing(month.window(zone).end - timedelta(microseconds=1), zone) == month


@given(months)
def test_the_month_before_the_next_is_the_month(month: Month) -> None:
    assert month.next().previous() == month
    assert month.previous().next() == month
    assert month.back(12) == Month(month.year - 1, month.number)
    assert Month.parse(str(month)) == month


@given(days)
def test_a_day_lies_in_the_month_of_its_midnight(day: date) -> None:
    assert Month.of(day) == Month.containing(midnight(day))
    assert day_of(midnight(day)) == day


@given(st.integers(1990, 2090))
def test_february_has_a_29th_in_leap_years_only(year: int) -> None:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    assert len(list(Month(year, 2).window().days())) == (29 if leap else 28)


def test_a_pacific_billing_month_begins_at_seven_or_eight_utc() -> None:
    assert Month(2024, 9).window(PACIFIC).start == utc("2024-09-01T07:00:00")
    assert Month(2024, 12).window(PACIFIC).start == utc("2024-12-01T08:00:00")


def test_a_month_in_which_clocks_change_has_an_hour_less_or_more() -> None:
    march, november = Month(2024, 3).window(PACIFIC), Month(2024, 11).window(PACIFIC)
    assert march.end - march.start == timedelta(days=31, hours=-1)
    assert november.end - november.start == timedelta(days=30, hours=1)


def test_a_beijing_billing_month_begins_the_day_before_in_utc() -> None:
    assert Month(2024, 9).window(BEIJING).start == utc("2024-08-31T16:00:00")


@pytest.mark.parametrize("text", ["2024-13", "2024-9", "24-09", "2024-09-01", ""])
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="month"):
        Month.parse(text)


@given(instants, st.timedeltas(timedelta(0), timedelta(days=10)))
def test_a_day_settles_exactly_settles_after_past_its_end(now: datetime, settles_after: timedelta) -> None:
    edge = settled_until(now, settles_after)
    assert edge == midnight(day_of(edge))
    assert edge + settles_after <= now < edge + DAY + settles_after
    after = edge + DAY + settles_after
    assert settled_until(after, settles_after) == edge + DAY
    assert settled_until(after - timedelta(microseconds=1), settles_after) == edge


def test_at_five_past_midnight_on_the_first_no_day_of_the_month_has_settled() -> None:
    assert settled_until(utc("2024-03-01T00:05:00"), timedelta(hours=48)) == utc("2024-02-28T00:00:00")
    assert settled_until(utc("2024-03-01T00:05:00"), timedelta(0)) == utc("2024-03-01T00:00:00")


@given(windows)
def test_always_leaves_nothing_out(window: Window) -> None:
    assert ALWAYS.covers(window)


ANCHORS = st.dates(date(2020, 1, 1), date(2030, 12, 31))


@given(st.sampled_from(Cycle), ANCHORS, st.dates(date(2019, 1, 1), date(2031, 12, 31)))
def test_the_periods_of_a_recurrence_tile_the_calendar(cycle: Cycle, anchor: date, day: date) -> None:
    recurrence = Recurrence(cycle, anchor)
    period = recurrence.containing(day)
    assert midnight(day) in period
    assert recurrence.containing(day_of(period.end)).start == period.end
    assert recurrence.before(period).end == period.start
    assert all(recurrence.containing(each) == period for each in (day_of(period.start), day_of(period.end) - DAY))
    assert recurrence.containing(anchor).start == midnight(anchor)


@pytest.mark.parametrize(
    ("cycle", "anchor", "day", "first", "until"),
    [
        (Cycle.DAILY, date(2024, 1, 1), date(2024, 2, 29), date(2024, 2, 29), date(2024, 3, 1)),
        (Cycle.WEEKLY, date(2024, 1, 1), date(2024, 3, 3), date(2024, 2, 26), date(2024, 3, 4)),
        (Cycle.WEEKLY, date(2024, 1, 7), date(2024, 3, 3), date(2024, 3, 3), date(2024, 3, 10)),
        (Cycle.MONTHLY, date(2024, 1, 1), date(2024, 2, 29), date(2024, 2, 1), date(2024, 3, 1)),
        (Cycle.MONTHLY, date(2024, 1, 15), date(2024, 3, 14), date(2024, 2, 15), date(2024, 3, 15)),
        (Cycle.MONTHLY, date(2023, 1, 31), date(2023, 2, 28), date(2023, 2, 28), date(2023, 3, 31)),
        (Cycle.QUARTERLY, date(2024, 1, 1), date(2024, 6, 30), date(2024, 4, 1), date(2024, 7, 1)),
        (Cycle.QUARTERLY, date(2024, 2, 1), date(2024, 1, 31), date(2023, 11, 1), date(2024, 2, 1)),
        (Cycle.YEARLY, date(2024, 4, 1), date(2025, 3, 31), date(2024, 4, 1), date(2025, 4, 1)),
        (Cycle.YEARLY, date(2024, 2, 29), date(2025, 3, 1), date(2025, 2, 28), date(2026, 2, 28)),
    ],
)
def test_known_periods(cycle: Cycle, anchor: date, day: date, first: date, until: date) -> None:
    assert Recurrence(cycle, anchor).containing(day) == Window.of_days(first, until)


def test_periods_between_two_days_are_whole_and_in_order() -> None:
    found = Recurrence(Cycle.MONTHLY, date(2024, 1, 15)).between(date(2024, 2, 20), date(2024, 4, 15))
    assert list(found) == [
        Window.of_days(date(2024, 2, 15), date(2024, 3, 15)),
        Window.of_days(date(2024, 3, 15), date(2024, 4, 15)),
    ]
