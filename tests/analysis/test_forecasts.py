"""Forecasts: what they know of the calendar, what they do not fall for, and what their intervals promise."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from exporter.analysis.forecasts import TooYoung, ahead, finish, forecast, month_end, nowcast
from exporter.analysis.forecasts.replay import replay, whole_months
from exporter.errors import CloudspendError
from exporter.periods import DAY, Month, Window

Array = NDArray[np.float64]

MONDAY = date(2024, 1, 1)


def days(count: int, first: date = MONDAY) -> list[date]:
    return [first + timedelta(n) for n in range(count)]


def noisy(count: int, level: float = 100.0, spread: float = 2.0, seed: int = 1, rows: int = 1) -> Array:
    return np.random.default_rng(seed).normal(level, spread, (rows, count))


worlds = st.builds(
    lambda seed, count, rows, level: np.abs(
        noisy(count, level, level * 0.2, seed, rows)
        * np.random.default_rng(seed + 1).choice([0.0, 1.0, 1.0, 1.0, 5.0], (rows, count))
    ),
    st.integers(0, 1000),
    st.integers(14, 120),
    st.integers(1, 4),
    st.floats(0.01, 1e5),
)


def test_a_series_that_never_changes_goes_on_so() -> None:
    found = forecast(np.full((1, 60), 5.0), days(60), 10)
    assert found.mean == pytest.approx(np.full((1, 10), 5.0))
    assert found.hi95[0] - found.lo95[0] < 5.0


def test_weekends_cost_what_weekends_cost() -> None:
    week = np.array([10.0, 10, 10, 10, 10, 4, 4])
    outlook = ahead(np.tile(week, 8)[None, :-3], days(53), 7)
    assert outlook.first.strftime("%A") == "Friday"
    assert outlook.mean[0] == pytest.approx([10, 4, 4, 10, 10, 10, 10], rel=0.01)
    assert outlook.weekdays[0] == pytest.approx(week / week.mean(), rel=0.01)


def test_growth_goes_on_and_fades() -> None:
    grown = 100 * 1.003 ** np.arange(140)
    outlook = ahead(grown[None], days(140), 60)
    assert outlook.growth[0] == pytest.approx(0.003, rel=0.1)
    path = outlook.mean[0]
    assert path[20] == pytest.approx(grown[-1] * 1.003**21, rel=0.02)
    assert path[59] / path[58] < path[1] / path[0]


@pytest.mark.parametrize("day", [1, 15])
def test_a_fee_of_two_months_is_expected_in_the_third(day: int) -> None:
    dates = days(90)
    charges = noisy(90) + np.array([400.0 if each.day == day else 0.0 for each in dates])
    outlook = ahead(charges, dates, 31)
    expected = {outlook.first + timedelta(n): cost for n, cost in enumerate(outlook.mean[0])}
    assert {each.day for each, cost in expected.items() if cost > 300} == {day}
    assert max(expected.values()) == pytest.approx(500, rel=0.05)


def test_a_fee_on_the_first_weekday_is_not_taken_for_one_on_the_same_day() -> None:
    dates = days(214, date(2024, 4, 29))
    firsts = {min(each for each in dates if each.month == month and each.weekday() < 5) for month in range(5, 12)}
    assert date(2024, 9, 2) in firsts
    charges = noisy(214) + np.array([400.0 if each in firsts else 0.0 for each in dates])
    outlook = ahead(charges, dates, 14)
    costs = {outlook.first + timedelta(n): cost for n, cost in enumerate(outlook.mean[0])}
    assert costs[date(2024, 12, 1)] < 110  # a Sunday
    assert costs[date(2024, 12, 2)] > 300


def test_a_fee_that_may_be_one_of_the_day_or_of_the_weekday_is_expected_once() -> None:
    dates = days(150)
    charges = noisy(150) + np.array([400.0 if each.day == 1 else 0.0 for each in dates])
    assert all(each.weekday() < 5 for each in dates if each.day == 1)
    outlook = ahead(charges, dates, 14)
    costs = {outlook.first + timedelta(n): cost for n, cost in enumerate(outlook.mean[0])}
    assert costs[date(2024, 6, 1)] > 300  # a Saturday
    assert costs[date(2024, 6, 3)] < 110


def test_a_single_odd_day_is_not_the_new_level() -> None:
    charges = noisy(90)
    calm = forecast(charges, days(90), 10).mean.sum()
    charges[0, -1] = 1000
    assert forecast(charges, days(90), 10).mean.sum() == pytest.approx(calm, rel=0.05)


@pytest.mark.parametrize("place", [-3, -2, -1])
def test_a_fee_among_three_days_in_a_row_is_not_their_level(place: int) -> None:
    charges = noisy(90)
    charges[0, -3:] += 20
    calm = ahead(charges, days(90), 10).total[0]
    charges[0, place] += 5000
    assert ahead(charges, days(90), 10).total[0] == pytest.approx(calm, rel=0.05)


def test_what_is_back_at_its_old_level_is_there_at_once() -> None:
    charges = noisy(90)
    charges[0, -6:-1] += 300
    assert forecast(charges, days(90), 10).mean.mean() == pytest.approx(100, rel=0.03)


def test_a_busy_close_of_each_month_is_not_the_level_of_the_next() -> None:
    dates = days(91)
    assert (dates[-1] + DAY).day == 1
    busy = np.array([(each + 3 * DAY).month != each.month for each in dates])
    found = ahead(noisy(91) * np.where(busy, 2.0, 1.0), dates, 27)
    assert found.mean[0] == pytest.approx(np.full(27, 100.0), rel=0.05)


def test_three_days_in_a_row_are_the_new_level() -> None:
    charges = noisy(90)
    charges[0, -3:] += 150
    assert forecast(charges, days(90), 10).mean.mean() == pytest.approx(250, rel=0.05)


def test_a_lasting_change_is_no_growth() -> None:
    charges = noisy(140)
    charges[0, 70:] *= 2
    assert ahead(charges, days(140), 10).growth[0] == pytest.approx(0, abs=0.0005)


def test_credits_are_charges_upside_down() -> None:
    charges = noisy(90)
    up, down = forecast(charges, days(90), 10), forecast(-charges, days(90), 10)
    assert down.mean == pytest.approx(-up.mean)
    assert (down.lo95 <= down.mean.sum(axis=1)).all()
    assert (down.mean.sum(axis=1) <= down.hi95).all()


def test_a_series_that_is_off_on_most_days_keeps_its_weekdays() -> None:
    charges = np.tile([0.0, 0, 70, 0, 0, 0, 0], 12)[None]
    assert forecast(charges, days(84), 7).mean[0] == pytest.approx([0, 0, 70, 0, 0, 0, 0], abs=0.5)


@pytest.mark.parametrize("day", [1, 15])
def test_of_a_line_that_is_nothing_but_a_monthly_fee_the_fee_is_expected_on_its_day(day: int) -> None:
    dates = days(168)
    charges = np.array([[1150.0 if each.day == day else 0.0 for each in dates]])
    outlook = ahead(charges, dates, 31)
    costs = {outlook.first + timedelta(n): cost for n, cost in enumerate(outlook.mean[0])}
    assert {each: round(cost) for each, cost in costs.items() if abs(cost) > 1} == {
        each: 1150 for each in costs if each.day == day
    }


def test_a_line_that_has_cost_something_on_one_day_is_not_known_to_have_a_fee() -> None:
    charges = np.zeros((1, 42))
    charges[0, [0, 30]] = 0.001, 900.0
    found = ahead(charges, days(42), 31)
    low, high = found.interval(0.8)
    assert found.mean.max() < 100
    assert high[0] - low[0] > 50


def test_what_was_on_once_is_not_expected_again_and_what_has_just_begun_goes_on_for_a_while() -> None:
    charges = np.zeros((3, 84))
    charges[:, 20] = 0.001  # it was born, and slept
    charges[0, 50:60] = 40
    charges[1, 76:] = 40
    charges[2, 83:] = 40
    mean = forecast(charges, days(84), 20).mean
    assert mean[0].sum() == pytest.approx(0, abs=0.1)
    assert 40 > mean[1, 0] > mean[1, 10] > mean[1, 19] > 5
    assert mean[2].sum() < mean[1].sum() / 2


def test_a_busy_last_day_that_was_often_the_last_weekday_is_the_last_day() -> None:
    dates = days(90, date(2025, 10, 8))
    charges = noisy(90, spread=1) + np.array([60.0 if (each + DAY).day == 1 else 0.0 for each in dates])
    outlook = ahead(charges, dates, 30)
    costs = {outlook.first + timedelta(n): cost for n, cost in enumerate(outlook.mean[0])}
    assert costs[date(2026, 1, 31)] > 150  # a Saturday
    assert costs[date(2026, 1, 30)] < 110


def test_a_busy_day_is_the_same_share_of_a_weekend_as_of_a_weekday() -> None:
    dates = days(124, date(2025, 10, 29))
    week = np.array([100.0 if each.weekday() < 5 else 40.0 for each in dates])
    charges = (week * np.where([(each + DAY).day == 1 for each in dates], 2.0, 1.0))[None, :120]
    outlook = ahead(charges + noisy(120, 0, 0.2), dates[:120], 4)
    assert dates[119] == date(2026, 2, 25)
    assert outlook.mean[0, 2] == pytest.approx(80, rel=0.05)  # Saturday 28 February


def test_growth_that_has_ended_is_not_expected_to_go_on() -> None:
    charges = np.concatenate([np.linspace(200, 150, 84), np.full(84, 150.0)])[None] + noisy(168, 0, 0.5)
    assert ahead(charges, days(168), 30).growth[0] == pytest.approx(0, abs=0.0002)


@given(worlds, st.integers(1, 40), st.floats(0.05, 0.99), st.sampled_from(["auto", "linear"]))
@settings(deadline=None, max_examples=60)
def test_every_interval_holds_the_forecast(charges: Array, horizon: int, level: float, model: str) -> None:
    outlook = ahead(charges, days(charges.shape[1]), horizon, model)
    low, high = outlook.interval(level)
    assert np.isfinite(outlook.mean).all()
    assert (low <= outlook.total + 1e-9).all()
    assert (outlook.total <= high + 1e-9).all()


@given(worlds, st.integers(1, 40))
@settings(deadline=None, max_examples=40)
def test_a_wider_level_is_a_wider_interval_and_the_bands_of_days_add_up_to_it(charges: Array, horizon: int) -> None:
    outlook = ahead(charges, days(charges.shape[1]), horizon)
    (low80, high80), (low95, high95) = outlook.interval(0.8), outlook.interval(0.95)
    room = 1e-9 * np.abs(outlook.total) + 1e-9
    assert (low95 <= low80 + room).all()
    assert (high80 <= high95 + room).all()
    low, high = outlook.days(0.8)
    assert np.abs(low.sum(axis=1) - low80).max() <= room.max()
    assert np.abs(high.sum(axis=1) - high80).max() <= room.max()


@given(worlds, st.integers(1, 31), st.floats(0.01, 1000), st.sampled_from(["auto", "linear"]))
@settings(deadline=None, max_examples=40)
def test_a_series_so_many_times_as_dear_has_a_forecast_so_many_times_as_dear(
    charges: Array, horizon: int, factor: float, model: str
) -> None:
    dates, room = days(charges.shape[1]), 1e-6 * charges.max() * factor
    one, many = (ahead(each, dates, horizon, model) for each in (charges, charges * factor))
    assert many.mean == pytest.approx(one.mean * factor, rel=1e-6, abs=room)
    for level in (0.5, 0.8, 0.95):
        for mine, its in zip(one.interval(level), many.interval(level), strict=True):
            assert its == pytest.approx(mine * factor, rel=1e-6, abs=room)


@given(worlds, st.integers(1, 28), st.integers(0, 5), st.floats(0, 1e5), st.floats(0.05, 0.99))
@settings(deadline=None, max_examples=30)
def test_every_interval_of_a_window_holds_its_total_and_what_is_billed(
    charges: Array, length: int, known: int, billed: float, level: float
) -> None:
    dates = days(charges.shape[1])
    window = Window.of_days(dates[-1] - 6 * DAY, dates[-1] + length * DAY)
    found = finish(charges, dates, window, np.full((len(charges), known), billed))
    low, high = found.interval(level)
    assert (low <= found.total + 1e-9 * np.abs(found.total)).all()
    assert (found.total <= high + 1e-9 * np.abs(found.total)).all()
    inside = min(known, length - 1)
    assert (low >= found.settled + inside * billed - 1e-6 * (1 + found.settled + inside * billed)).all()


@given(worlds, st.integers(0, 90), st.sampled_from(["auto", "seasonal", "linear"]), st.floats(0, 1e6))
@settings(deadline=None, max_examples=15)
def test_another_future_leaves_every_forecast_of_the_past_as_it_was(
    charges: Array, known: int, model: str, later: float
) -> None:
    dates, every = days(charges.shape[1]), (1, 7, 16, 27)
    other = charges.copy()
    other[:, known:] = other[:, known:] * 3 + later
    months = [each for each in whole_months(dates) if each.first > dates[0] + 13 * DAY]
    one, two = (replay(each, dates, months, every, model) for each in (charges, other))
    for place, month in enumerate(months):
        for number, settled in enumerate(every):
            if (month.first - dates[0]).days + settled <= known:
                for name in ("said", "low", "high"):
                    mine, its = (getattr(each, name)[:, place, number] for each in (one, two))
                    np.testing.assert_array_equal(mine, its)  # bit by bit


def test_another_future_is_another_forecast_of_what_follows_it() -> None:
    charges = noisy(120, rows=2)
    other = charges.copy()
    other[:, 100:] *= 3  # from 10 April on
    one, two = (replay(each, days(120), [Month(2024, 4)], range(5, 20)) for each in (charges, other))
    changed = (one.said != two.said).all(axis=(0, 1)).tolist()
    assert changed == [False] * 5 + [True] * 10


def test_the_forecast_of_a_series_does_not_depend_on_its_neighbours() -> None:
    charges = noisy(100, rows=5)
    charges[1, :40] = np.nan
    together = forecast(charges, days(100), 12).mean
    assert forecast(charges[:1], days(100), 12).mean[0] == pytest.approx(together[0])
    assert forecast(charges[1:2, 40:], days(60, MONDAY + 40 * DAY), 12).mean[0] == pytest.approx(together[1])


def test_under_fourteen_days_nothing_is_said() -> None:
    with pytest.raises(TooYoung, match="needs 14 days of history, and there are 13"):
        forecast(noisy(13), days(13), 5)
    assert issubclass(TooYoung, CloudspendError)
    charges = noisy(30, rows=2)
    charges[0, :20] = np.nan
    found = forecast(charges, days(30), 5)
    assert np.isnan([*found.mean[0], found.lo80[0], found.hi95[0]]).all()
    assert np.isfinite(found.mean[1]).all()


def test_a_matrix_with_holes_or_gaps_in_its_dates_is_refused() -> None:
    charges = noisy(30)
    with pytest.raises(ValueError, match="consecutive"):
        forecast(charges, [*days(29), MONDAY + 40 * DAY], 5)
    charges[0, 10] = np.nan
    with pytest.raises(ValueError, match="without a figure"):
        forecast(charges, days(30), 5)


def test_a_month_end_is_what_has_settled_and_a_forecast_of_the_rest_alone() -> None:
    charges = np.full((1, 75), 10.0)
    charges[0, 62] = 95
    found = month_end(charges, days(75), Month(2024, 3))
    assert days(75)[-1] == date(2024, 3, 15)
    assert found.settled[0] == 15 * 10 + 85
    assert found.rest[0] == pytest.approx(160, rel=0.01)
    low, high = found.interval(0.95)
    assert found.settled[0] <= low[0] <= found.total[0] <= high[0]


def test_a_month_that_has_settled_is_known() -> None:
    charges = noisy(75)
    found = month_end(charges, days(75), Month(2024, 2))
    assert found.total[0] == pytest.approx(charges[0, 31:60].sum())
    assert [*found.interval(0.95)[0], *found.interval(0.95)[1]] == [found.total[0], found.total[0]]


def test_the_next_month_is_forecast_alone() -> None:
    found = month_end(np.full((1, 75), 10.0), days(75), Month(2024, 4))
    assert found.settled[0] == 0
    assert found.total[0] == pytest.approx(300, rel=0.01)


def test_a_nowcast_counts_the_hours_that_are_not_billed_yet() -> None:
    found = nowcast(np.full((1, 72), 24.0), days(72), datetime(2024, 3, 15, 12, tzinfo=UTC))
    assert days(72)[-1] == date(2024, 3, 12)
    assert found.settled[0] == 12 * 24
    assert found.rest[0] == pytest.approx(2.5 * 24, rel=0.01)


def test_a_day_billed_in_part_raises_what_is_expected_and_never_lowers_it() -> None:
    charges, window = np.full((1, 72), 24.0), Window.of_days(date(2024, 3, 1), date(2024, 3, 21))
    plain = finish(charges, days(72), window).total[0]
    assert finish(charges, days(72), window, [[5.0, 0.0]]).total[0] == plain
    raised = finish(charges, days(72), window, [[5.0, 124.0]])
    assert raised.total[0] == pytest.approx(plain + 100)
    assert raised.interval(0.95)[0][0] >= raised.settled[0] + 129 - 1e-9


def test_a_year_ahead_from_a_quarter_stays_in_the_bounds_of_reason() -> None:
    found = forecast(100 * 1.005 ** np.arange(90)[None], days(90), 365)
    assert 100 < found.mean[0, -1] < 3 * found.mean[0, 0]
    assert found.lo95[0] < 0.8 * found.mean.sum() < 1.2 * found.mean.sum() < found.hi95[0]


def test_intervals_keep_what_they_promise_on_a_world_of_plain_noise() -> None:
    charges = noisy(140, spread=15, rows=400, seed=5)
    outlook = ahead(charges[:, :120], days(120), 20)
    came = charges[:, 120:].sum(axis=1)
    for level in (0.8, 0.95):
        low, high = outlook.interval(level)
        assert ((low <= came) & (came <= high)).mean() == pytest.approx(level, abs=0.1)
        assert outlook.coverage(level) == pytest.approx(level, abs=0.15)
    assert np.median(outlook.error) == pytest.approx(0.67 * 0.15 / 20**0.5, rel=0.4)


def test_the_command_line_starts_without_numpy() -> None:
    script = "import sys, exporter.cli; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
