"""Edges of the calendar: months, the leap day, the year, and midnight in UTC and where Google Cloud's months end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from exporter.periods import DAY, Month, Window, day_of, midnight
from tests.acceptance.world import CLOUDS, MONTH_TO_DATE, PREVIOUS_MONTH, World, opened

PACIFIC = ZoneInfo("America/Los_Angeles")
EDGE = timedelta(minutes=5)


def instants(*days: date) -> list[datetime]:
    """Five minutes before and after midnight, UTC and Pacific, of each day; and the noon after."""
    found = set()
    for day in days:
        for zone in (UTC, PACIFIC):
            edge = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
            found |= {edge - EDGE, edge + EDGE}
        found.add(midnight(day) + DAY / 2)
    return sorted(found)


def whole(world: World) -> None:
    """Every day is there once, as the ledgers have it at this moment, in the store and in /metrics."""
    month, labels = Month.containing(world.now), ("provider", "service", "region", "currency")
    shown = world.scrape()
    for name in CLOUDS:
        stored = world.stored(name)
        assert stored == world.charged(name)
        by_day: dict[date, float] = {}
        for (_, _, day, _), amount in stored.items():
            by_day[date.fromisoformat(day)] = by_day.get(date.fromisoformat(day), 0) + float(amount)
        assert min(by_day.values()) > 0, "no day of these ledgers is one of credits"
        # Google Cloud shows nothing of a day before three in the morning.
        newest = day_of(world.now - timedelta(hours=3)) if name == "gcp" else day_of(world.now)
        assert sorted(by_day) == [*Window.of_days(min(by_day), newest).days(), newest]
    for metric, billed in ((MONTH_TO_DATE, month), (PREVIOUS_MONTH, month.previous())):
        assert shown.sums(metric, *labels) == world.billed(billed.window(), *labels), world.now
    assert shown.total("cloudspend_unattributed_cost") == 0
    for name in CLOUDS:
        began = midnight(month.first).timestamp()
        assert shown.total("cloudspend_month_start_timestamp_seconds", source=name) == int(began)
        settled = day_of(
            datetime.fromtimestamp(int(shown.total("cloudspend_data_end_timestamp_seconds", source=name)), UTC) - DAY
        )
        assert shown.sums("cloudspend_daily_cost", *labels, source=name) == world.billed(
            Window.of_day(settled), *labels, names=[name]
        )


@pytest.mark.parametrize(
    "days",
    [
        pytest.param((date(2023, 3, 1),), id="march", marks=pytest.mark.matrix),
        pytest.param((date(2024, 2, 29), date(2024, 3, 1)), id="leap-day", marks=pytest.mark.matrix),
        pytest.param((date(2024, 12, 31), date(2025, 1, 1)), id="year"),
        pytest.param((date(2024, 7, 1),), id="in-summer-time", marks=pytest.mark.matrix),
    ],
)
def test_no_day_is_lost_doubled_or_negative_across(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: Sequence[date]
) -> None:
    moments = instants(*days)
    with opened(tmp_path, monkeypatch, moments[0], moments[-1]) as world:
        for moment in moments:
            world.move(moment)
            assert world.poll() == dict.fromkeys(CLOUDS, "")
            whole(world)
