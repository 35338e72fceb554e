"""From scores to findings: what is told, once, with the right name, and what becomes of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.analysis.anomalies import (
    Edge,
    Fee,
    Finding,
    Kind,
    Part,
    Report,
    Settings,
    Severity,
    Status,
    evaluate,
    score,
    sentence,
)
from exporter.analysis.anomalies.rollups import together
from exporter.analysis.folding import OTHER, choose, folded
from exporter.analysis.series import ALL, Scope, Series, gaps
from exporter.providers import demo as story
from exporter.providers import demo_estate as cast
from tests.analysis.estates import COUNT, DAILY, FIRST, LAST, as_known, demo, line, lines, more, replay, scope

EC2_EAST = scope("prod", "EC2", "east")
WHEN = 100
"""The place of the day on which something happens: Wednesday 2026-04-15."""
DAY = FIRST + timedelta(WHEN)


def ec2_east(each: Scope) -> bool:
    return each == EC2_EAST


# --- the demo estate ------------------------------------------------------------------------------------------------


def expected_stories(first: date, last: date) -> dict[tuple[date, Kind], tuple[str, str, str]]:
    """The day on which each rise of the demo begins, and which account, service and region it is."""
    found = {}
    day = first
    while day <= last:
        if day.day == 14 and (gateway := story.runaway_gateway(day)):
            found[day, Kind.SPIKE] = (gateway[0].id, cast.EC2_OTHER, gateway[1])
        if (region := story.forgotten_region(day)) and not story.forgotten_region(day - timedelta(1)):
            found[day, Kind.NEW] = (cast.CLUSTER_ACCOUNT.id, ALL, region)
        turn, since = divmod(day - story.DEPLOYMENT, story.DEPLOYMENT_EVERY)
        if not since:
            account, service = cast.DEPLOYED[turn % len(cast.DEPLOYED)]
            found[day, Kind.SPIKE] = (account.id, service, ALL)
        day += timedelta(1)
    return found


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(19, id="fourteen-months", marks=pytest.mark.matrix),
        pytest.param(19 + 42 * 7, id="since-summer"),
    ],
)
def test_the_stories_of_the_demo_are_told_on_their_first_day_by_name_and_nothing_else_is(start: int) -> None:
    estate = demo()  # a cluster is forgotten on the day on which it starts
    told = replay(estate, start, len(estate.days) - 4)
    stories = expected_stories(estate.days[start], estate.days[-4])
    rises = [finding for finding in told.new if finding.kind is not Kind.DROP]
    assert {(each.first_day, each.kind): each.scope[2:5] for each in rises} == stories
    assert len(rises) == len(stories)
    # The cluster that was forgotten before the bill begins is switched off: nobody had told of it.
    [drop] = [each for each in told.new if each.kind is Kind.DROP]
    assert (drop.first_day - estate.days[start]).days <= 7
    assert drop.scope.account == cast.CLUSTER_ACCOUNT.id
    forgotten = next(each for each in rises if each.first_day == story.FORGOTTEN)
    assert all(part.region == forgotten.scope.region for part in forgotten.parts)
    assert forgotten.parts[0].service == cast.EC2


@pytest.mark.parametrize(
    ("first", "last"),
    [
        pytest.param(date(2026, 8, 5), date(2026, 9, 20), id="seven-weeks"),
        pytest.param(date(2025, 11, 5), date(2026, 11, 12), id="a-year", marks=pytest.mark.matrix),
    ],
)
def test_days_that_still_move_tell_the_same_stories_at_most_two_days_late(first: date, last: date) -> None:
    """One look at noon of every day, at partial days and at weeks that are charged too high until they are restated."""
    stories, told, report = expected_stories(first, last), {}, Report()
    day = first - timedelta(5)
    while day <= last + timedelta(2):
        series, edge = as_known(datetime.combine(day, time(12), UTC))
        before = report
        report = evaluate(Settings(drops=False), series, {"demo": edge}, before)
        for finding in report.findings:
            if finding.fingerprint in report.new and first <= finding.first_day <= last:
                told[finding.first_day] = finding.scope[2:5], day - finding.first_day
        day += timedelta(1)
    assert {day: where for day, (where, _) in told.items()} == {day: where for (day, _), where in stories.items()}
    assert max(late for _, late in told.values()) <= timedelta(2)


# --- a rise and its life --------------------------------------------------------------------------------------------


def test_a_plain_estate_tells_nothing() -> None:
    assert replay(lines()).new == ()


def test_a_rise_is_told_on_its_day_with_what_was_expected() -> None:
    [finding] = replay(more(lines(), ec2_east, 80, WHEN, 1), WHEN, WHEN).new
    assert finding.scope == EC2_EAST
    assert (finding.first_day, finding.day, finding.kind, finding.settled) == (DAY, DAY, Kind.SPIKE, True)
    assert finding.expected == pytest.approx(100, rel=0.05)
    assert finding.excess == pytest.approx(80, rel=0.1)
    assert finding.expected < finding.upper < finding.actual
    assert finding.score > 1


def test_one_spike_is_one_finding_that_ends_the_day_after() -> None:
    told = replay(more(lines(), ec2_east, 80, WHEN, 1))
    assert [finding.scope for finding in told.new] == [EC2_EAST]
    [ended] = told.reports[WHEN - 60 + 1].findings
    assert (ended.status, ended.ended, ended.fingerprint) == (Status.RESOLVED, "back", told.new[0].fingerprint)
    assert ended.impact == pytest.approx(80, rel=0.1)
    assert told.last.findings == ()


def test_a_step_stays_one_finding_grows_in_impact_and_becomes_the_new_normal() -> None:
    begin = 62
    told = replay(more(lines(), ec2_east, 60, begin))
    [first] = told.new
    fifth = next(each for each in told.reports[begin - 60 + 4].findings)
    assert fifth.fingerprint == first.fingerprint
    assert (fifth.kind, fifth.status) == (Kind.STEP, Status.OPEN)
    assert fifth.impact == pytest.approx(5 * 60, rel=0.1)
    ends = [finding for report in told.reports for finding in report.findings if finding.ended]
    assert [(each.ended, (each.day - each.first_day).days) for each in ends] == [("accepted", 45)]


def test_what_gets_worse_says_so_once() -> None:
    series = more(more(lines(), ec2_east, 60, WHEN), ec2_east, 100, WHEN + 6)
    told = replay(series)
    worse = [r.findings[0].day for r in told.reports for f in r.findings if f.status is Status.WORSENED]
    assert DAY + timedelta(6) in worse
    assert len(worse) <= 3  # once more where a spike turns out to stay
    assert len(told.new) == 1


def test_severities_never_fall_while_a_finding_is_open() -> None:
    told = replay(more(lines(), ec2_east, 60, 80))
    order = [list(Severity).index(f.severity) for r in told.reports for f in r.findings]
    assert order == sorted(order)


def test_the_same_bill_again_tells_nothing_new() -> None:
    series, edges = more(lines(), ec2_east, 80, WHEN), {"bill": Edge(DAY, DAY)}
    first = evaluate(Settings(), series.until(DAY), edges)
    again = evaluate(Settings(), series.until(DAY), edges, first)
    assert len(first.new) == 1
    assert again.new == ()
    assert [f.fingerprint for f in again.findings] == [f.fingerprint for f in first.findings]


def test_days_that_nobody_looked_at_are_judged_one_by_one_later() -> None:
    series = more(lines(), ec2_east, 80, WHEN, 1)
    before = DAY - timedelta(2)
    report = evaluate(Settings(), series.until(before), {"bill": Edge(before, before)})
    after = DAY + timedelta(3)
    report = evaluate(Settings(), series.until(after), {"bill": Edge(after, after)}, report)
    assert [(f.first_day, f.status) for f in report.findings] == [(DAY, Status.RESOLVED)]
    assert len(report.new) == 1


# --- names ------------------------------------------------------------------------------------------------------------


def test_a_rise_of_one_service_everywhere_is_named_as_the_service() -> None:
    [finding] = replay(more(lines(), lambda each: each.service == "RDS", 15, WHEN), WHEN, WHEN).new
    assert finding.scope == scope(ALL, "RDS", ALL)
    assert len(finding.parts) == 4


def test_many_rises_too_small_for_their_lines_are_told_as_their_sum() -> None:
    accounts = tuple(f"team-{n}" for n in range(12))
    # Two percent of noise in each line, half a percent in their sum.
    series = more(lines(accounts), lambda each: each.service == "EC2", 6.5, WHEN)
    found = replay(series, 90, WHEN + 1).new
    assert [each.scope for each in found] == [scope(ALL, "EC2", ALL)]
    assert (score(series.values[:, : WHEN + 2], series.days[: WHEN + 2]) > 1).mean() < 0.1


def test_new_lines_of_an_old_account_are_one_finding_with_their_members() -> None:
    series = lines()
    for service, cost in (("EC2", 40.0), ("EBS", 9.0)):
        series = line(series, scope("dev", service, "sydney"), dict.fromkeys(range(WHEN, COUNT), cost))
    told = replay(series)
    [finding] = told.new
    assert (finding.first_day, finding.kind, finding.scope) == (DAY, Kind.NEW, scope("dev", ALL, "sydney"))
    assert [(part.service, part.new) for part in finding.parts] == [("EC2", True)]
    assert "nothing in the weeks before" in sentence(finding)


def test_a_new_account_is_silent_and_so_are_the_sums_it_joins() -> None:
    series = lines()
    for service in DAILY:
        series = line(series, scope("fresh", service, "east"), dict.fromkeys(range(66, COUNT), 90.0))
    assert replay(series).new == ()


def test_a_sentence_names_the_place_the_money_and_the_lines() -> None:
    [finding] = replay(more(lines(), lambda each: each.service == "RDS", 15, WHEN), WHEN, WHEN).new
    said = sentence(finding, {"prod": "shop-production"})
    assert said.startswith("RDS (aws) cost ")
    assert "USD on 15 April 2026" in said
    assert "more than the" in said
    assert "shop-production / " in said
    assert sentence(replace(finding, settled=False)).endswith("the day is not complete yet.")


# --- silence -----------------------------------------------------------------------------------------------------


def test_a_restatement_of_three_percent_is_silent() -> None:
    series = lines()
    values = series.values.copy()
    values[:, 90:] *= 1.03
    report = evaluate(Settings(), Series(series.scopes, series.days, values).until(DAY), {"bill": Edge(DAY, DAY)})
    corrected = evaluate(Settings(), series.until(DAY), {"bill": Edge(DAY, DAY)}, report)
    assert report.new == corrected.new == ()


def test_a_source_that_was_down_for_three_days_is_judged_when_it_is_back_and_tells_nothing() -> None:
    series = lines()
    values = series.values.copy()
    values[:, WHEN : WHEN + 3] = np.nan
    before, back = DAY - timedelta(1), DAY + timedelta(5)
    gap = Series(series.scopes, series.days, values)
    report = evaluate(Settings(), gap.until(before), {"bill": Edge(before, before)})
    assert evaluate(Settings(), gap.until(before), {}, report) == replace(report, new=())
    assert evaluate(Settings(), gap.until(back), {"bill": Edge(back, back)}, report).new == ()


def test_days_without_an_answer_are_no_drop_once_they_are_known_as_gaps() -> None:
    series = lines()
    values = series.values.copy()
    values[:, WHEN : WHEN + 3] = 0
    silent = Series(series.scopes, series.days, values)
    third = {"bill": Edge(DAY + timedelta(2), DAY + timedelta(2))}
    assert evaluate(Settings(), silent.until(third["bill"].settled), third).new
    filled = gaps(silent, series.days[WHEN : WHEN + 3])
    assert evaluate(Settings(), filled.until(third["bill"].settled), third).new == ()


def test_a_known_fee_is_expected_up_to_its_amount() -> None:
    series = more(lines(), ec2_east, 80, WHEN, 1)
    fee = Fee(day=DAY.day, service="EC2", amount=100)
    assert replay(series, WHEN, WHEN, Settings(fees=(fee,))).new == ()
    assert replay(series, WHEN, WHEN, Settings(fees=(replace(fee, amount=10),))).new != ()
    assert replay(series, WHEN, WHEN, Settings(fees=(replace(fee, day=1),))).new != ()
    assert replay(series, WHEN, WHEN, Settings(fees=(replace(fee, service="S3"),))).new != ()
    assert replay(series, WHEN, WHEN, Settings(fees=(replace(fee, day=-(30 - DAY.day + 1)),))).new == ()


@pytest.mark.parametrize("gate", [Settings(minimum_cost=100), Settings(minimum_percent=120), Settings(sensitivity=50)])
def test_each_gate_alone_keeps_a_rise_from_being_told(gate: Settings) -> None:
    series = more(lines(), ec2_east, 80, WHEN, 1)
    assert replay(series, WHEN, WHEN).new
    assert not replay(series, WHEN, WHEN, gate).new


def test_a_fixed_severity_wins_over_money() -> None:
    series = more(lines(), ec2_east, 80, WHEN, 1)
    assert [each.severity for each in replay(series, WHEN, WHEN).new] == [Severity.LOW]
    fixed = Settings(severity=Severity.CRITICAL)
    assert [each.severity for each in replay(series, WHEN, WHEN, fixed).new] == [Severity.CRITICAL]


# --- days that still move -------------------------------------------------------------------------------------------


def test_a_partial_day_may_raise_but_neither_lowers_nor_ends_anything() -> None:
    series = lines()
    values = series.values.copy()
    values[:, WHEN] *= 0.1
    yesterday = DAY - timedelta(1)
    partial = Series(series.scopes, series.days, values).until(DAY)
    assert evaluate(Settings(), partial, {"bill": Edge(yesterday, DAY)}).new == ()
    spike = more(series, ec2_east, 80, WHEN - 1, 1)
    risen = evaluate(Settings(), spike.until(yesterday), {"bill": Edge(yesterday - timedelta(1), yesterday)})
    assert [(f.first_day, f.settled) for f in risen.findings] == [(yesterday, False)]
    later = evaluate(Settings(), spike.until(DAY), {"bill": Edge(yesterday, DAY)}, risen)
    assert later.new == ()
    assert [(f.status, f.settled) for f in later.findings] == [(Status.OPEN, True)]


def test_three_settled_days_of_nothing_are_one_drop_and_partial_ones_are_none() -> None:
    series = lines()
    values = series.values.copy()
    values[0, WHEN:] = 0
    fallen = Series(series.scopes, series.days, values)
    third = DAY + timedelta(2)
    partial = evaluate(Settings(), fallen.until(third), {"bill": Edge(DAY - timedelta(1), third)})
    assert partial.new == ()
    told = replay(fallen, 90, WHEN + 8)
    assert [(f.kind, f.first_day, f.severity, f.scope) for f in told.new] == [
        (Kind.DROP, third, Severity.INFO, series.scopes[0])
    ]
    assert told.new[0].excess < 0
    assert replay(fallen, 90, WHEN + 8, Settings(drops=False)).new == ()


def test_a_drop_that_ends_the_day_after_it_was_told_was_a_drop() -> None:
    series = lines()
    values = series.values.copy()
    values[0, WHEN : WHEN + 3] = 0
    back = Series(series.scopes, series.days, values)
    first = replay(back, 90, WHEN + 2)
    assert [f.kind for f in first.new] == [Kind.DROP]
    known = Report(tuple(first.new), judged={"bill": DAY + timedelta(2)})
    after = DAY + timedelta(3)
    [ended] = evaluate(Settings(), back.until(after), {"bill": Edge(after, after)}, known).findings
    assert (ended.status, ended.kind) == (Status.RESOLVED, Kind.DROP)


def test_a_fall_back_to_normal_is_no_drop() -> None:
    assert [f.kind for f in replay(more(lines(), ec2_east, 300, 80, 20)).new] == [Kind.SPIKE]


# --- properties ------------------------------------------------------------------------------------------------------


@given(st.sampled_from([0.5, 4.0, 64.0]), st.floats(30, 200))
@settings(max_examples=8, deadline=None)
def test_scaling_a_bill_scales_its_finding(by: float, amount: float) -> None:
    series = more(lines(), ec2_east, amount, WHEN, 1)
    larger = Series(series.scopes, series.days, series.values * by)
    [one], [other] = replay(series, WHEN, WHEN).new, replay(larger, WHEN, WHEN).new
    assert (one.fingerprint, one.kind) == (other.fingerprint, other.kind)
    for mine, its in ((one.actual, other.actual), (one.excess, other.excess), (one.impact, other.impact)):
        assert its == pytest.approx(mine * by, rel=1e-3)


@given(st.integers(0, 11), st.integers(2, 12), st.floats(1.3, 4.0))
@settings(max_examples=10, deadline=None)
def test_folding_hides_no_rise_that_is_large_for_what_it_is_folded_into(row: int, limit: int, rise: float) -> None:
    plain = lines()
    sizes = {each[1:5]: Decimal(round(float(np.nansum(v)))) for each, v in zip(plain.scopes, plain.values, strict=True)}
    shown = choose(sizes, (), limit)
    where = [Scope(each.source, *folded(each[1:5], shown), each.currency) for each in plain.scopes]
    names = tuple(dict.fromkeys(where))

    def fold(series: Series) -> Series:
        sums = [sum(v for v, its in zip(series.values, where, strict=True) if its == name) for name in names]
        return Series(names, series.days, np.array(sums))

    level = float(fold(plain).values[names.index(where[row]), WHEN])
    struck = plain.scopes[row]
    found = replay(fold(more(plain, lambda each: each == struck, level * rise, WHEN, 1)), WHEN, WHEN).new
    assert [each.scope for each in found] == [where[row]]
    assert OTHER in struck or all(each.excess > Settings().minimum_cost for each in found)


@given(st.integers(1, 15), st.floats(0, 1e5))
@settings(max_examples=10, deadline=None)
def test_what_comes_later_changes_nothing_that_was_said(later: int, amount: float) -> None:
    series = more(lines(), ec2_east, 80, WHEN, 1)
    changed = more(series, lambda _: True, amount, WHEN + later)
    edges = {"bill": Edge(DAY, DAY)}
    assert evaluate(Settings(), series, edges) == evaluate(Settings(), changed, edges)


def test_an_estate_without_lines_and_a_source_without_settled_days_say_nothing() -> None:
    assert evaluate(Settings(), Series.nothing(), {"bill": Edge(LAST, LAST)}) == Report(judged={})
    early = FIRST - timedelta(3)
    assert evaluate(Settings(), lines(), {"bill": Edge(early, early)}).findings == ()


def test_lines_rise_together_when_most_of_five_or_more_do() -> None:
    assert together(np.full(30, 1.5)) > 1
    assert together(np.full(30, 0.5)) < 1
    assert together(np.full(4, 9.0)) == 0
    assert together(np.array([1000.0, *np.zeros(29)])) < 1
    assert together(np.array([1.5] * 30 + [np.nan] * 10)) > 1


def test_a_rise_that_fades_slowly_ends() -> None:
    fading = lines()
    for place in range(14):
        fading = more(fading, ec2_east, 80 * 0.75**place, WHEN + place, 1)
    told = replay(fading, 90, WHEN + 13)
    assert [each.scope for each in told.new] == [EC2_EAST]
    assert told.last.findings == ()


def test_one_fall_has_one_name() -> None:
    """A region that is switched off is no second finding of each service that it was half of."""
    estate = lines(("prod",))
    gone = more(estate, lambda each: each.region == "east", 0, 0)
    values = gone.values.copy()
    values[[row for row, each in enumerate(gone.scopes) if each.region == "east"], WHEN:] = 0
    values[[row for row, each in enumerate(gone.scopes) if each.region == "west"], WHEN:] *= 0.9
    told = replay(Series(gone.scopes, gone.days, values), 90, WHEN + 6).new
    assert [each.scope[3:5] for each in told] == [(ALL, "east")]


def test_what_grows_by_half_again_and_again_is_critical_before_it_costs_that_much() -> None:
    runaway = lines()
    for place, amount in enumerate((16.0, 28.0, 50.0)):
        runaway = more(runaway, ec2_east, amount, WHEN + place, 1)
    steady = more(lines(), ec2_east, 50, WHEN, 3)
    [last], [flat] = (replay(each, 90, WHEN + 2).last.findings for each in (runaway, steady))
    assert last.monthly < 2000
    assert (last.severity, flat.severity) == (Severity.CRITICAL, Severity.HIGH)


def test_a_dearer_price_is_told_where_the_largest_line_drowns_it() -> None:
    """Each line has one vote: one that is a thousand times larger, and jumps about, hides nothing."""
    series = lines(tuple(f"team-{n}" for n in range(12)), ("east",))
    values = series.values.copy()
    values[0] = 100_000 * np.random.default_rng(9).normal(1, 0.2, COUNT)
    values[1:, WHEN:] *= [[1.06 if each.service == "EC2" else 1.0] for each in series.scopes[1:]]
    dearer = Series(series.scopes, series.days, values)
    found = replay(dearer, 90, WHEN + 3, Settings(minimum_percent=0, new_cost=1e9)).new
    told = {(each.scope.account, each.scope.service) for each in found}
    assert ("all", "EC2") in told
    assert "team-0" not in {account for account, _ in told}


def test_a_finding_around_an_earlier_one_counts_only_what_it_adds() -> None:
    cluster = more(lines(), ec2_east, 80, WHEN)
    around = more(cluster, lambda scope: scope.region == "east", 60, WHEN + 4)
    told = replay(around, 90, WHEN + 6).new
    [later] = [each for each in told if each.first_day >= DAY + timedelta(4)]
    assert later.scope.holds(EC2_EAST)
    beside = [each for each in around.scopes if later.scope.holds(each) and each != EC2_EAST]
    rise = sum(60 for each in beside if each.region == "east")
    assert later.excess == pytest.approx(rise, rel=0.1)


# --- kept between looks -----------------------------------------------------------------------------------------------

amounts = st.floats(allow_nan=False)
any_day = st.dates()
any_words = st.text(max_size=9)
any_finding = st.builds(
    Finding,
    fingerprint=any_words,
    scope=st.builds(Scope, *[any_words] * 6),
    kind=st.sampled_from(Kind),
    status=st.sampled_from(Status),
    severity=st.sampled_from(Severity),
    first_day=any_day,
    first_seen=any_day,
    day=any_day,
    parts=st.lists(st.builds(Part, any_words, any_words, any_words, amounts, st.booleans()), max_size=3).map(tuple),
    **dict.fromkeys(("actual", "expected", "upper", "score", "impact", "told"), amounts),
    settled=st.booleans(),
    ended=any_words,
)
lists_of_findings = st.lists(any_finding, max_size=3).map(tuple)


@given(
    st.builds(
        Report,
        findings=lists_of_findings,
        new=st.lists(any_words, max_size=3).map(tuple),
        judged=st.dictionaries(any_words, any_day, max_size=3),
        ended=lists_of_findings,
    )
)
@settings(max_examples=50, deadline=None)
def test_a_report_reads_back_as_it_was_written(report: Report) -> None:
    again = Report.read(report.written())
    assert again == report
    assert all(isinstance(each.kind, Kind) and isinstance(each.scope, Scope) for each in again.findings)


def test_a_look_after_a_restart_says_what_it_would_have_said_without_one() -> None:
    series = more(lines(), ec2_east, 80, WHEN)
    report = evaluate(Settings(), series.until(DAY), {"bill": Edge(DAY, DAY)})
    assert report.findings
    after = {"bill": Edge(DAY + timedelta(4), DAY + timedelta(4))}
    assert evaluate(Settings(), series, after, Report.read(report.written())) == evaluate(
        Settings(), series, after, report
    )


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"findings": [{}], "new": [], "judged": {}, "ended": []}', "3"])
def test_what_is_no_report_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no report"):
        Report.read(text)
