"""A back-test: the alerts of past days without a look ahead, beside labels, and the sensitivity that keeps quiet."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from exporter.analysis.anomalies import Settings
from exporter.analysis.backtest import Alert, Label, judged, quiet, quiet_but, replay, series_months
from exporter.analysis.series import Scope, Series
from tests.analysis.estates import FIRST, LAST, lines, more

SETTINGS = Settings()
SINCE = FIRST + timedelta(80)


def ec2(scope: Scope) -> bool:
    return scope.service == "EC2" and scope.region == "west" and scope.account == "prod"


def s3(scope: Scope) -> bool:
    return scope.service == "S3" and scope.region == "east" and scope.account == "dev"


@pytest.fixture(scope="module")
def bill() -> Series:
    """One line is much dearer on one day, and another a little on another."""
    return more(more(lines(), ec2, 300, 90, 1), s3, 12, 105, 1)


def told(series: Series, settings: Settings = SETTINGS, last: date = LAST) -> list[Alert]:
    return [alert for day in replay(settings, "bill", series, SINCE, last) for alert in day]


def day(number: int) -> date:
    return FIRST + timedelta(number)


def test_the_alerts_are_told_on_their_days_with_what_would_have_silenced_them(bill: Series) -> None:
    alerts = told(bill)
    assert [(alert.day, alert.finding.scope.service) for alert in alerts] == [(day(90), "EC2"), (day(105), "S3")]
    for alert in alerts:
        above = replace(SETTINGS, sensitivity=alert.silent_at * 1.001)
        below = replace(SETTINGS, sensitivity=alert.silent_at * 0.999)
        assert alert.day not in {each.day for each in told(bill, above, alert.day)}
        assert alert.day in {each.day for each in told(bill, below, alert.day)}


def test_a_replay_does_not_look_ahead(bill: Series) -> None:
    later = bill.values.copy()
    later[:, 100:] *= 5
    changed = Series(bill.scopes, bill.days, later)
    assert [alert.finding for alert in told(changed, last=day(99))] == [
        alert.finding for alert in told(bill, last=day(99))
    ]
    assert [alert.day for alert in told(changed)] == [day(90), day(100)]


def test_what_was_open_before_the_days_is_no_news() -> None:
    series = more(lines(), ec2, 300, 78)
    assert told(series) == []
    assert [alert.day for days in replay(SETTINGS, "bill", series, day(75), LAST) for alert in days] == [day(78)]


def test_at_the_lowest_quiet_sensitivity_nothing_fires_and_just_below_it_something_does(bill: Series) -> None:
    lowest = quiet(replace(SETTINGS, sensitivity=0.8), "bill", bill, SINCE, LAST)
    assert lowest > 1
    assert told(bill, replace(SETTINGS, sensitivity=lowest)) == []
    assert told(bill, replace(SETTINGS, sensitivity=lowest * 0.999)) != []


def test_a_calm_bill_is_quiet_where_it_begins() -> None:
    assert quiet(SETTINGS, "bill", lines(), SINCE, LAST) == 1.0


def test_with_labels_what_is_labelled_may_go_on(bill: Series) -> None:
    labels = [Label(day(90), day(90), service="ec2", region="west")]
    lowest = quiet_but(SETTINGS, "bill", bill, SINCE, LAST, labels)
    small = told(bill)[1].silent_at
    assert lowest == pytest.approx(small, rel=0.05)
    assert lowest is not None
    assert [alert.day for alert in told(bill, replace(SETTINGS, sensitivity=lowest))] == [day(90)]
    assert quiet_but(SETTINGS, "bill", bill, SINCE, LAST, [*labels, Label(day(105), day(105))]) == 1.0


def test_labels_make_precision_and_recall(bill: Series) -> None:
    alerts = told(bill)
    found = Label(day(89), day(90), service="EC2")
    missed = Label(day(90), day(90), account="dev", service="RDS")
    verdict = judged(alerts, [found, missed])
    assert (verdict.true, verdict.false) == ((alerts[0],), (alerts[1],))
    assert (verdict.precision, verdict.recall, verdict.missed) == (0.5, 0.5, (missed,))
    assert (judged([], [found]).precision, judged([], [found]).recall) == (None, 0.0)
    assert (judged(alerts, []).precision, judged(alerts, []).recall) == (0.0, None)


@pytest.mark.parametrize(
    ("label", "meets"),
    [
        (Label(day(90), day(90)), True),
        (Label(day(87), day(87)), True),  # three days late
        (Label(day(86), day(86)), False),
        (Label(day(91), day(95)), False),
        (Label(day(90), day(90), provider="AWS", account="prod", service="EC2", region="west"), True),
        (Label(day(90), day(90), provider="gcp"), False),
        (Label(day(90), day(90), region="east"), False),
    ],
)
def test_a_label_is_met_within_its_days_and_scope(bill: Series, label: Label, *, meets: bool) -> None:
    assert label.meets(told(bill)[0]) is meets


def test_a_rolled_up_alert_is_about_the_lines_that_take_part() -> None:
    series = more(lines(), lambda scope: scope.service == "EC2", 60, 90, 1)
    [alert] = told(series)
    assert alert.finding.scope.region == "all"
    assert Label(day(90), day(90), region="west", service="EC2").meets(alert)
    assert not Label(day(90), day(90), region="west", service="S3").meets(alert)
    assert not Label(day(90), day(90), region="north").meets(alert)


def test_series_months_count_lines_with_enough_history() -> None:
    series = lines()
    assert series_months(SETTINGS, series, day(60), day(89)) == pytest.approx(len(series.scopes))
    young = series.values.copy()
    young[0, :80] = np.nan
    assert series_months(SETTINGS, Series(series.scopes, series.days, young), day(60), day(89)) == pytest.approx(
        len(series.scopes) - 1
    )
