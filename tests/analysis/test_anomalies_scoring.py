"""The default detector: what it tells, what it does not, and what its scores do not depend on."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.analysis.anomalies import judge, outlook, score
from exporter.analysis.anomalies.calendar import at_edge, twins
from exporter.analysis.anomalies.order import ascending, middle, middle_of

LAST = date(2026, 3, 12)
"""A Thursday in the middle of a month."""
WEEK = np.array([1.0, 1.02, 1.0, 0.98, 1.0, 0.5, 0.5])

MANY = 300
"""Series that a sorting network looks at; fewer are left to numpy."""


def days(count: int = 120, last: date = LAST) -> list[date]:
    return [last - timedelta(count - 1 - place) for place in range(count)]


def plain(
    rows: int = 1, count: int = 120, *, level: float = 100.0, noise: float = 0.03, last: date = LAST
) -> np.ndarray:
    """Series with quiet weekends, the same each time."""
    week = np.array([WEEK[day.weekday()] for day in days(count, last)])
    chance = np.random.default_rng(rows * 1000 + count).normal(1, noise, (rows, count))
    return level * week * chance


def told(matrix: np.ndarray, last: date = LAST) -> bool:
    return bool(score(matrix, days(matrix.shape[1], last))[0] > 1)


def test_a_plain_day_is_not_told() -> None:
    assert (score(plain(50), days()) < 1).all()


def test_a_day_that_costs_half_as_much_again_is_told() -> None:
    matrix = plain()
    matrix[0, -1] *= 1.5
    assert told(matrix)


def test_a_saturday_as_dear_as_a_friday_is_told_and_a_friday_is_not() -> None:
    saturday = date(2026, 3, 14)
    matrix = plain(last=saturday)
    assert not told(matrix[:, :-1], saturday - timedelta(1))
    matrix[0, -1] = matrix[0, -2]
    assert told(matrix, saturday)


def test_a_small_rise_that_stays_is_told_within_two_weeks() -> None:
    matrix = plain(count=134)
    matrix[0, -14:] *= 1.09
    firsts = [place for place in range(1, 15) if told(matrix[:, : 120 + place], LAST - timedelta(14 - place))]
    assert firsts
    assert firsts[0] > 1, "no single day of it is odd"


def test_a_fee_on_the_same_day_of_each_month_is_expected_after_it_was_seen_once() -> None:
    matrix = plain()
    for place, day in enumerate(days()):
        matrix[0, place] += 400 if day.day == LAST.day else 0
    assert not told(matrix)
    matrix[0, -1] += 600
    assert told(matrix), "two and a half times the fee is not the fee"


def test_a_busy_month_end_is_expected_on_another_weekday_too() -> None:
    last = date(2026, 3, 31)
    matrix = plain(last=last)
    for place, day in enumerate(days(last=last)):
        matrix[0, place] *= 1.6 if (day + timedelta(2)).month != day.month else 1
    assert not told(matrix[:, :-1], date(2026, 3, 30))
    assert not told(matrix, last)


@pytest.mark.parametrize("amount", [-50.0, -5000.0])
def test_a_credit_is_silent_and_so_is_the_day_after_it(amount: float) -> None:
    matrix = plain()
    matrix[0, -2] += amount
    assert not told(matrix[:, :-1], LAST - timedelta(1))
    assert not told(matrix)


def test_what_comes_back_from_a_holiday_did_not_rise() -> None:
    matrix = plain()
    matrix[0, -11:-1] *= 0.5
    assert not told(matrix)


def test_three_days_without_an_answer_are_no_news() -> None:
    matrix = plain()
    matrix[0, -4:-1] = np.nan
    assert not told(matrix)


def test_a_series_has_no_score_before_its_fifteenth_day() -> None:
    matrix = plain(2)
    matrix[0, : 120 - 14] = np.nan
    matrix[1, : 120 - 15] = np.nan
    found = score(matrix, days())
    assert np.isnan(found[0])
    assert np.isfinite(found[1])


def test_a_young_series_may_have_a_monthly_fee_but_not_two_days_running() -> None:
    matrix = plain()
    matrix[0, : 120 - 25] = np.nan
    matrix[0, -1] *= 5
    assert not told(matrix)
    matrix[0, -2] *= 5
    assert told(matrix)


def test_a_job_once_a_week_is_silent_until_it_costs_several_times_itself() -> None:
    matrix = np.zeros((1, 120))
    matrix[0, [place for place, day in enumerate(days()) if day.weekday() == 3]] = 50.0
    assert not told(matrix)
    matrix[0, -1] = 250.0
    assert told(matrix)


def test_a_fall_is_a_drop_when_three_days_fell() -> None:
    matrix = plain()
    matrix[0, -2:] = 0
    assert judge(matrix, days()).drop[0] < 1
    matrix[0, -3] = 0
    assert judge(matrix, days()).drop[0] > 1


def test_the_outlook_knows_the_weekend() -> None:
    expected, spread = outlook(plain(), days(), 7)
    weekdays = [(LAST + timedelta(1 + ahead)).weekday() for ahead in range(7)]
    assert expected[0] == pytest.approx(100 * WEEK[weekdays], rel=0.05)
    assert 1 < spread[0] < 10


levels = st.floats(20, 5000)
lengths = st.integers(15, 120)


@given(levels, lengths, st.sampled_from([0.25, 2.0, 8.0, 1024.0]), st.floats(0.5, 3.0))
@settings(max_examples=40, deadline=None)
def test_scaling_a_series_leaves_its_score(level: float, length: int, by: float, rise: float) -> None:
    matrix = plain(count=120, level=level)
    matrix[0, : 120 - length] = np.nan
    matrix[0, -1] *= rise
    assert score(matrix * by, days()) == pytest.approx(score(matrix, days()), rel=1e-3)


@given(st.integers(0, 29), st.data())
@settings(max_examples=25, deadline=None)
def test_a_score_depends_on_no_other_series(row: int, data: st.DataObject) -> None:
    matrix = plain(MANY)
    for place in range(0, MANY, 3):
        matrix[place, : data.draw(st.integers(0, 119))] = np.nan
    matrix[row, -1] *= 1.3
    together, alone = score(matrix, days())[row], score(matrix[row : row + 1], days())[0]
    assert together == pytest.approx(alone, rel=1e-5, nan_ok=True), "but for the last digit of a sum"


@given(st.lists(st.lists(st.floats(-1e6, 1e6, width=32), min_size=3, max_size=3), min_size=1, max_size=80))
@settings(deadline=None)
def test_a_network_sorts_and_a_pruned_one_finds_the_median(values: list[list[float]]) -> None:
    rows = np.tile(np.array(values, np.float32), MANY // 3 + 1)
    assert np.array_equal(np.array(ascending(list(rows.copy()))), np.sort(rows, axis=0))
    found = middle(ascending(list(rows.copy()), middle_of(len(rows))))
    assert found == pytest.approx(np.median(rows, axis=0), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("length", [8, 14, 50, 98])
@pytest.mark.parametrize("shape", [(1,), (5,), (7, 20)])
def test_few_lanes_are_sorted_as_many_are(length: int, shape: tuple[int, ...]) -> None:
    rows = np.random.default_rng(length).normal(size=(length, *shape)).astype(np.float32)
    rows[length // 2, ..., 0] = np.nan
    many = np.concatenate([rows] * (MANY // rows[0].size + 1), axis=-1)
    for wanted in ((), middle_of(length)):
        few, network = (np.array(ascending(list(each.copy()), wanted)) for each in (rows, many))
        places = list(wanted or range(length))
        assert (few.dtype, network.dtype) == (np.float32, np.float32)
        assert np.array_equal(few[places], network[places][..., : shape[-1]], equal_nan=True)
        assert np.isnan(few[places][..., 0]).all()


@given(st.dates(date(2020, 1, 1), date(2035, 12, 31)))
def test_every_day_has_a_twin_in_the_month_before_or_is_too_long_for_it(day: date) -> None:
    before = [day - timedelta(lag) for lag in twins(day)]
    assert all(other < day.replace(day=1) for other in before)
    assert any(other.day == day.day for other in before) or day.day > 28


def test_twins_are_counted_from_the_end_and_in_weekdays_too() -> None:
    assert date(2026, 2, 28) in [date(2026, 3, 31) - timedelta(lag) for lag in twins(date(2026, 3, 31))]
    assert date(2026, 2, 2) in [
        date(2026, 1, 1).replace(month=3, day=2) - timedelta(lag) for lag in twins(date(2026, 3, 2))
    ]


def test_the_edge_of_a_month_is_its_last_three_days_and_its_first() -> None:
    march = [date(2026, 3, 1) + timedelta(n) for n in range(31)]
    assert [day.day for day in march if at_edge(day)] == [1, 29, 30, 31]


def test_the_command_line_starts_without_numpy() -> None:
    program = "import sys, exporter.cli; print([name for name in ('numpy', 'sklearn') if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


@pytest.mark.parametrize("since", [30, 42, 60])
def test_one_fall_and_level_weeks_since_are_no_decline(since: int) -> None:
    levels = np.where(np.arange(98) < 98 - since, 140.0, 90.0)
    quiet = levels * np.random.default_rng(3).normal(1, 0.004, 98)
    expected, _ = outlook(quiet[None], days(98), 14)
    assert expected[0] == pytest.approx(np.full(14, 90.0), rel=0.01)


def test_a_decline_that_goes_on_is_expected_to() -> None:
    falling = 140.0 - 0.5 * np.arange(98)
    expected, _ = outlook(falling[None], days(98), 14)
    assert expected[0, 7] < expected[0, 0] < falling[-21]
