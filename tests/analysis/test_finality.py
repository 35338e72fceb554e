"""How final a day is, by when it was read and by what its provider says."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.analysis.finality import Finality, closed, settled_edge, state
from exporter.periods import DAY, Month, midnight

TWO_DAYS = timedelta(hours=48)
SEPTEMBER, DAY_10 = Month(2024, 9), date(2024, 9, 10)
ORDER = list(Finality)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        ("2024-09-10T12:00:00", Finality.PROVISIONAL),  # the day is not over
        ("2024-09-11T00:00:00", Finality.SETTLING),
        ("2024-09-12T23:59:59", Finality.SETTLING),
        ("2024-09-13T00:00:00", Finality.SETTLED),
        ("2024-10-09T23:59:59", Finality.SETTLED),
        ("2024-10-10T00:00:00", Finality.CLOSED),
    ],
)
def test_a_day_becomes_final_by_the_time_it_is_read(read: str, expected: Finality) -> None:
    assert state(DAY_10, at(read), TWO_DAYS) is expected


def test_an_estimate_is_provisional_and_holds_up_the_days_after_it() -> None:
    estimated = [DAY_10]
    states = [state(DAY_10 + i * DAY, at("2024-10-20T00:00:00"), TWO_DAYS, estimated) for i in (-1, 0, 1)]
    assert states == [Finality.CLOSED, Finality.PROVISIONAL, Finality.SETTLING]


def test_the_word_of_the_provider_counts_for_more_than_the_calendar() -> None:
    late, early = at("2024-10-20T00:00:00"), at("2024-10-04T00:00:00")
    assert state(DAY_10, late, TWO_DAYS, open_months=[SEPTEMBER]) is Finality.SETTLED
    assert state(DAY_10, early, TWO_DAYS, open_months=[Month(2024, 10)]) is Finality.CLOSED
    assert not closed(SEPTEMBER, at("2024-09-30T12:00:00"), [])
    # It may be called final while its last day has not been read late enough: that comes first.
    assert state(date(2024, 9, 30), at("2024-10-01T06:00:00"), TWO_DAYS, open_months=[]) is Finality.SETTLING


instants = st.datetimes(datetime(2024, 8, 1), datetime(2025, 2, 1), timezones=st.just(UTC))  # noqa: DTZ001
delays = st.timedeltas(timedelta(0), timedelta(days=7))


@given(instants, instants, delays)
def test_a_later_reading_never_makes_a_day_less_final(one: datetime, other: datetime, settles_after: timedelta) -> None:
    early, late = (ORDER.index(state(DAY_10, read, settles_after)) for read in sorted((one, other)))
    assert early <= late


@given(instants, delays, st.sets(st.dates(date(2024, 8, 20), date(2024, 10, 1)), max_size=3))
def test_days_before_the_settled_edge_have_settled_and_no_others(
    read: datetime, settles_after: timedelta, estimated: set[date]
) -> None:
    edge = settled_edge(read, settles_after, estimated)
    settled = state(DAY_10, read, settles_after, estimated) in (Finality.SETTLED, Finality.CLOSED)
    assert settled == (midnight(DAY_10 + DAY) <= edge)
