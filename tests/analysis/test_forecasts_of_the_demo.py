"""Month ends and nowcasts of the demo, from early to late in each of 14 months, beside what it bills in the end.

The demo has what makes forecasts silly: fees for a whole month on its first day, gateways that run away for two days,
batches, refunds, days billed in part. What nobody can know is in it, too: a service that is deployed, or a cluster that
is forgotten, adds up to 4.5 % of a provider's month from the day on which it begins, and each day of a week in four is
billed 3 % too high until it is corrected.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache

import numpy as np
import pytest

from exporter.analysis.forecasts import Charges, charges, month_end, nowcast, standing
from exporter.clock import Clock
from exporter.costs import Ask
from exporter.periods import DAY, Grain, Month, Window, day_of, midnight, settled_until
from exporter.providers.demo import RESTATED_AT, SETTLES_AFTER, Demo, DemoOptions, Moment

MONTHS = tuple(Month(2025 + (11 + place) // 12, (11 + place) % 12 + 1) for place in range(14))
DAYS = (3, 6, 10, 20)
HISTORY = 200
PROVIDERS = (("aws", "USD"), ("azure", "EUR"), ("gcp", "USD"))


class _Free:
    """Counts nothing: the demo asks nobody."""

    def request(self, kind: str) -> None:
        del kind


def _billed(now: datetime, window: Window, settled: date = date.max) -> Charges:
    demo = Demo(DemoOptions(), _Free(), Clock(frozen=now))  # type: ignore[arg-type]
    return charges(demo.fetch(Ask(window=window, grain=Grain.DAY, tags=())).costs, window, settled)


@cache
def final() -> Charges:
    """Every day as it is billed in the end. A demo knows 13 months, so two are asked."""
    moments = [Moment.of(datetime(2026, 6, 30, tzinfo=UTC)), Moment.of(datetime(2027, 3, 31, tzinfo=UTC))]
    old, new = (_billed(midnight(moment.today), moment.life()) for moment in moments)
    return _joined(old, new, date(2026, 6, 1))


def _joined(old: Charges, new: Charges, since: date) -> Charges:
    def both(kind: str) -> Mapping[tuple[str, str], Mapping[date, object]]:
        one, other = getattr(old, kind), getattr(new, kind)
        return {
            account: {
                **{day: cost for day, cost in one.get(account, {}).items() if day < since},
                **{day: cost for day, cost in other.get(account, {}).items() if day >= since},
            }
            for account in {*one, *other}
        }

    return Charges(new.settled, both("untaxed"), both("tax"))  # type: ignore[arg-type]


def as_of(now: datetime) -> Charges:
    """What is known at an instant: what is older than it can be restated, and the days since as they look then."""
    today = day_of(now)
    since = today - DAY * (RESTATED_AT + 1)
    settled = day_of(settled_until(now, SETTLES_AFTER)) - DAY
    return _joined(final(), _billed(now, Window.of_days(since, today + DAY), settled), since)


@dataclass(frozen=True)
class Said:
    provider: str
    now: datetime
    off: float
    """Of the month's total, as a share of what came."""
    now_off: float
    """Of what has come until now."""
    held80: bool
    held95: bool


def moments() -> Iterator[datetime]:
    for month in MONTHS:
        yield from (midnight(month.first) + timedelta(days=day - 1, hours=12) for day in DAYS)


@pytest.fixture(scope="module")
def said() -> list[Said]:
    return [each for now in moments() for each in _said(now)]


def _said(now: datetime) -> Iterator[Said]:
    known, month = as_of(now), Month.containing(now)
    days = list(Window.of_days(day_of(now) - DAY * HISTORY, day_of(now) + DAY).days())
    matrix = np.array([[float(known.untaxed[account].get(day, 0)) for day in days] for account in PROVIDERS])
    settled = (known.settled - days[0]).days + 1
    past, partial = matrix[:, :settled], matrix[:, settled:]
    end = month_end(past, days[:settled], month, partial)
    until = nowcast(past, days[:settled], now, partial)
    (low80, high80), (low95, high95) = end.interval(0.8), end.interval(0.95)
    for row, account in enumerate(PROVIDERS):
        costs = {day: float(cost) for day, cost in final().untaxed[account].items() if Month.of(day) == month}
        came = sum(costs.values())
        so_far = sum(cost for day, cost in costs.items() if day < day_of(now)) + costs[day_of(now)] / 2
        yield Said(
            account[0],
            now,
            end.total[row] / came - 1,
            until.total[row] / so_far - 1,
            bool(low80[row] <= came <= high80[row]),
            bool(low95[row] <= came <= high95[row]),
        )


def test_no_month_end_is_far_off_on_any_day(said: list[Said]) -> None:
    assert len(said) == len(MONTHS) * len(DAYS) * len(PROVIDERS)
    assert [each for each in said if abs(each.off) > 0.06] == []
    for provider, _ in PROVIDERS:
        assert np.median([abs(each.off) for each in said if each.provider == provider]) < 0.015


def test_no_nowcast_is_far_off_on_any_day(said: list[Said]) -> None:
    assert [each for each in said if abs(each.now_off) > 0.08] == []
    assert np.median([abs(each.now_off) for each in said]) < 0.005


def test_intervals_hold_as_often_as_they_say(said: list[Said]) -> None:
    """A deployment is missed by three providers' forecasts at once, or four days': 168 are about 50 of their own."""
    assert np.mean([each.held80 for each in said]) == pytest.approx(0.80, abs=0.08)
    assert np.mean([each.held95 for each in said]) == pytest.approx(0.95, abs=0.05)


@pytest.mark.parametrize("now", ["2026-04-20T12:00", "2026-08-03T12:00", "2026-09-06T12:00"])
def test_what_is_published_on_days_that_were_once_far_off(now: str) -> None:
    """After a runaway in a restated week; before a first that is a Saturday; three days after the fees of a month."""
    when = datetime.fromisoformat(now).replace(tzinfo=UTC)
    found = {(each.provider, each.currency): each for each in standing([as_of(when)], when)}
    assert sorted(found) == sorted(PROVIDERS)
    for account, each in found.items():
        bill = (*final().untaxed[account].items(), *final().tax.get(account, {}).items())
        came = sum(float(cost) for day, cost in bill if Month.of(day) == each.month)
        assert float(each.total) == pytest.approx(came, rel=0.06)
