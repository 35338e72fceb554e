"""Budgets: what counts, how it will end, and what stays when a period ends."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.analysis.budgets import Adjustment, Budget, BudgetReport, Remembered, Scope, Status, Threshold, evaluate
from exporter.costs import ChargeCategory, Cost, CostRow, CostTable
from exporter.costs.money import add
from exporter.periods import DAY, Cycle, Recurrence
from tests.costs.rows import row

D = Decimal
SOURCE = ""
"""The source of rows that no poller has stamped."""


def steady(first: str, last: str, cost: str = "10", **more: Any) -> list[CostRow]:
    begin, end = date.fromisoformat(first), date.fromisoformat(last)
    return [row((begin + timedelta(n)).isoformat(), cost, **more) for n in range((end - begin).days + 1)]


def monthly(amount: str = "400", **more: Any) -> Budget:
    return Budget("b", D(amount), "USD", **more)


def stand(
    budget: Budget, rows: Iterable[CostRow], today: str, edge: str | None = None, previous: Any = None
) -> BudgetReport:
    settled = {SOURCE: date.fromisoformat(edge or today)}
    return evaluate([budget], CostTable.of(rows), date.fromisoformat(today), settled, previous)


def one(*given: Any, **more: Any) -> Any:
    return stand(*given, **more).of("b")


def test_a_budget_on_track() -> None:
    found = one(monthly(), steady("2024-01-01", "2024-03-15"), "2024-03-16", "2024-03-14")
    assert found.period_id == "monthly/2024-03-01"
    assert (found.spent, found.spent_settled, found.remaining) == (D(150), D(130), D(250))
    assert found.elapsed == pytest.approx(D(15) / D(31))
    assert found.used == D("0.375")
    assert found.status is Status.ON_TRACK
    assert found.projection.total == pytest.approx(D(310), rel=D("0.01"))
    assert found.projection.low95 <= found.projection.low80 <= found.projection.total
    assert found.projection.total <= found.projection.high80 <= found.projection.high95
    assert found.projection.low95 >= found.spent
    assert (found.exhausted_on, found.crossed, found.settled) == (None, (), True)
    assert (found.fast.per_day, found.slow.per_day) == (D(10), D(10))
    assert found.fast.ratio == D("0.775")


def test_a_projected_overrun_is_a_risk_and_names_the_day() -> None:
    found = one(monthly("200"), steady("2024-01-01", "2024-03-15"), "2024-03-16")
    assert found.status is Status.AT_RISK
    assert found.exhausted_on == date(2024, 3, 21)
    assert [each.severity for each in found.projected_crossed] == ["warning", "critical"]
    assert found.crossed == ()


def test_a_budget_that_is_spent_is_over_since_the_day_that_did_it() -> None:
    found = one(monthly("120"), steady("2024-01-01", "2024-03-15"), "2024-03-16")
    assert found.status is Status.OVER
    assert found.remaining == D(-30)
    assert found.exhausted_on == date(2024, 3, 13)
    assert [each.ratio for each in found.crossed] == [D("0.8"), D(1)]


def test_thresholds_are_reached_exactly() -> None:
    rows = steady("2024-03-01", "2024-03-08")
    for amount, crossed in (("100", ["0.8"]), ("100.01", []), ("80", ["0.8", "1"])):
        assert [str(each.ratio) for each in one(monthly(amount), rows, "2024-03-09").crossed] == crossed
    many = monthly("100", thresholds=(Threshold(D("0.5"), "info"), Threshold(D("0.25"), "info")))
    assert [each.ratio for each in one(many, rows, "2024-03-09").crossed] == [D("0.25"), D("0.5")]


def test_a_day_that_has_not_settled_raises_and_is_told_so() -> None:
    rows = [*steady("2024-01-01", "2024-03-14"), row("2024-03-15", "500")]
    found = one(monthly(), rows, "2024-03-16", "2024-03-15")
    assert found.status is Status.OVER
    assert (found.spent, found.spent_settled) == (D(640), D(140))
    assert not found.settled
    assert found.projection.total == pytest.approx(D(640 + 160), rel=D("0.01"))
    assert found.fast.per_day == D(10)


def test_a_day_billed_in_part_does_not_lower_what_is_expected() -> None:
    whole = one(monthly(), steady("2024-01-01", "2024-03-14"), "2024-03-16", "2024-03-15")
    rows = [*steady("2024-01-01", "2024-03-14"), row("2024-03-15", "1")]
    found = one(monthly(), rows, "2024-03-16", "2024-03-15")
    assert found.projection.total == whole.projection.total
    assert found.spent == whole.spent + 1
    plain, partial = (one(monthly("161"), some, "2024-03-16", "2024-03-15").exhausted_on for some in (rows[:-1], rows))
    assert plain == partial == date(2024, 3, 17)


def test_a_fast_burn_shows_on_the_last_settled_day_before_the_week_does() -> None:
    rows = [*steady("2024-01-01", "2024-03-14"), row("2024-03-15", "150")]
    found = one(monthly("310"), rows, "2024-03-16")
    assert (found.fast.per_day, found.fast.ratio) == (D(150), D(15))
    assert (found.slow.per_day, found.slow.ratio) == (D(30), D(3))


def test_with_little_history_there_is_no_projection_and_it_says_why() -> None:
    found = one(monthly(), steady("2024-03-01", "2024-03-09"), "2024-03-10")
    assert found.projection is None
    assert "needs 14 days" in found.unforeseen
    assert (found.status, found.spent) == (Status.ON_TRACK, D(90))
    nothing = one(monthly(), [], "2024-03-10")
    assert (nothing.spent, nothing.projection, nothing.fast, nothing.slow) == (D(0), None, None, None)
    assert nothing.unforeseen == "no day has settled yet"


def test_a_source_whose_days_are_not_known_to_settle_settles_nothing() -> None:
    found = evaluate([monthly()], CostTable.of(steady("2024-01-01", "2024-03-15")), date(2024, 3, 16), {}).of("b")
    assert (found.spent, found.spent_settled, found.settled_until) == (D(150), D(0), None)
    assert found.projection is None


def test_credits_count_only_for_a_budget_that_is_net_of_them() -> None:
    rows = [
        row("2024-03-01", "100"),
        row("2024-03-01", "19", category=ChargeCategory.TAX),
        row("2024-03-02", "-30", category=ChargeCategory.CREDIT),
    ]
    assert one(monthly(), rows, "2024-03-03").spent == D(119)
    assert one(monthly(net=True), rows, "2024-03-03").spent == D(89)
    named = Scope(charge_category=frozenset({"credit"}))
    assert one(monthly(scope=named), rows, "2024-03-03").spent == D(-30)


def test_a_scope_takes_what_matches_every_label() -> None:
    rows = [
        row("2024-03-01", "1", service="compute", region="eu", tags={"team": "red"}),
        row("2024-03-01", "2", service="compute", region="us", tags={"team": "blue"}),
        row("2024-03-01", "4", service="storage", region="eu", tags={"team": "red"}, account="z"),
        row("2024-03-01", "8", service="storage", region="us", provider="gcp"),
    ]
    scopes = [
        (Scope(), "15"),
        (Scope(service=frozenset({"compute"})), "3"),
        (Scope(service=frozenset({"compute", "storage"}), region=frozenset({"us"})), "10"),
        (Scope(provider=frozenset({"gcp"})), "8"),
        (Scope(account=frozenset({"z"})), "4"),
    ]
    for scope, spent in scopes:
        assert one(monthly(scope=scope), rows, "2024-03-03").spent == D(spent), scope
    tagged = Scope(tags=MappingProxyType({"team": frozenset({"red", "none"})}))
    assert one(monthly(scope=tagged), rows, "2024-03-03").spent == D(13)


def test_other_currencies_are_told_and_never_added() -> None:
    rows = [row("2024-03-01", "10"), row("2024-03-01", "7", "EUR"), row("2024-02-01", "9", "GBP")]
    found = one(monthly(), rows, "2024-03-03")
    assert (found.spent, found.elsewhere) == (D(10), {"EUR": D(7)})


def test_the_basis_falls_back_to_billed_where_the_bill_does_not_know_it() -> None:
    known = [row("2024-03-01", "10", effective=D(4))]
    unknown = [row("2024-03-01", "10", provider="oci", effective=D(0))]
    budget = monthly(cost=Cost.EFFECTIVE)
    assert one(budget, known, "2024-03-03").spent == D(4)
    assert one(budget, unknown, "2024-03-03").spent == D(10)


def test_money_is_exact_to_the_last_place() -> None:
    rows = [row("2024-03-01", "0.000000000000000000000001"), row("2024-03-02", "99999999999999")]
    assert one(monthly("1"), rows, "2024-03-03").spent == D("99999999999999.000000000000000000000001")


def test_two_sources_settle_apart_and_the_slower_one_says_until_when() -> None:
    mapped = CostTable.of(steady("2024-01-01", "2024-03-15"))
    table = mapped.mapped(SourceId="CASE WHEN day(ChargePeriodStart) % 2 = 0 THEN 'even' ELSE 'odd' END")
    edges = {"even": date(2024, 3, 14), "odd": date(2024, 3, 10)}
    found = evaluate([monthly()], table, date(2024, 3, 16), edges).of("b")
    assert found.settled_until == date(2024, 3, 10)
    assert (found.spent, found.spent_settled) == (D(150), D(110))


def test_a_source_that_ended_long_ago_holds_nobody_back() -> None:
    rows = [*steady("2023-10-01", "2023-12-31"), *steady("2024-01-01", "2024-03-15")]
    table = CostTable.of(rows).mapped(SourceId="CASE WHEN year(ChargePeriodStart) = 2023 THEN 'old' ELSE 'new' END")
    edges = {"old": date(2024, 1, 1), "new": date(2024, 3, 15)}
    found = evaluate([monthly()], table, date(2024, 3, 16), edges).of("b")
    assert found.settled_until == date(2024, 3, 15)


@pytest.mark.parametrize(
    ("cycle", "period_id", "spent"),
    [
        (Cycle.DAILY, "daily/2024-03-15", 10),
        (Cycle.WEEKLY, "weekly/2024-03-11", 50),
        (Cycle.MONTHLY, "monthly/2024-03-01", 150),
        (Cycle.QUARTERLY, "quarterly/2024-01-01", 750),
        (Cycle.YEARLY, "yearly/2024-01-01", 750),
    ],
)
def test_every_cycle_counts_its_own_period(cycle: Cycle, period_id: str, spent: int) -> None:
    found = one(monthly(recurrence=Recurrence(cycle)), steady("2023-06-01", "2024-03-15"), "2024-03-15")
    assert (found.period_id, found.spent) == (period_id, D(spent))
    assert found.projection.total == pytest.approx(
        D(10) * ((found.period.end - found.period.start) // DAY), rel=D("0.05")
    )


def test_a_month_may_begin_on_its_twentieth() -> None:
    budget = monthly(recurrence=Recurrence(Cycle.MONTHLY, date(2024, 1, 20)))
    found = one(budget, steady("2024-01-01", "2024-03-15"), "2024-03-16")
    assert (found.period_id, found.spent) == ("monthly/2024-02-20", D(250))


def test_a_month_that_ends_goes_into_history_and_the_next_begins_at_nothing() -> None:
    rows = steady("2024-01-01", "2024-04-01")
    march = stand(monthly("300"), rows[:-1], "2024-03-31")
    april = stand(monthly("500"), rows, "2024-04-02", previous=march.remembered).of("b")
    assert (april.period_id, april.spent, april.limit) == ("monthly/2024-04-01", D(10), D(500))
    closed = april.history[-1]
    assert (closed.period_id, closed.spent, closed.limit, closed.over) == ("monthly/2024-03-01", D(310), D(300), True)
    assert [(each.period_id, each.reconstructed) for each in april.history] == [
        ("monthly/2024-01-01", True),
        ("monthly/2024-02-01", True),
        ("monthly/2024-03-01", False),
    ]


def test_every_period_that_nobody_looked_at_goes_into_history_once() -> None:
    before = stand(monthly("300"), steady("2024-01-01", "2024-01-10"), "2024-01-11").remembered
    rows = steady("2024-01-01", "2024-04-10")
    report = stand(monthly("500"), rows, "2024-04-11", previous=before)
    again = stand(monthly("700"), rows, "2024-04-11", previous=report.remembered).of("b")
    assert report.of("b").history == again.history
    assert [each.spent for each in again.history] == [D(310), D(290), D(310)]
    assert {each.limit for each in again.history} == {D(300)}


def test_an_ended_month_moves_until_it_is_final_and_not_after() -> None:
    rows = steady("2024-01-01", "2024-03-31")
    before = stand(monthly(), rows, "2024-03-31").remembered
    early = stand(monthly(), rows, "2024-04-02", "2024-03-31", before)
    assert not early.of("b").history[-1].settled
    restated = [*rows, row("2024-03-20", "90")]
    settled = stand(monthly(), restated, "2024-04-05", "2024-04-03", early.remembered)
    closed = settled.of("b").history[-1]
    assert (closed.spent, closed.settled, closed.final) == (D(400), True, False)
    final = stand(monthly(), restated, "2024-04-12", "2024-04-10", settled.remembered)
    assert final.of("b").history[-1].final
    # One before it that never became final does not open it again.
    kept = final.remembered["b"]
    opened = replace(kept, closed=(replace(kept.closed[0], final=False), *kept.closed[1:]))
    later = stand(monthly(), [*restated, row("2024-03-21", "1000")], "2024-04-20", previous={"b": opened})
    assert later.of("b").history[-1].spent == D(400)
    forgotten = stand(monthly(), steady("2024-05-01", "2024-05-20"), "2024-05-21", previous=final.remembered)
    assert D(400) in [each.spent for each in forgotten.of("b").history]


def test_what_is_remembered_survives_being_written() -> None:
    for each in stand(monthly(), steady("2024-01-01", "2024-03-15", "0.1000"), "2024-03-16").remembered.values():
        assert Remembered.read(each.written()) == each


def adjusting(**more: Any) -> Budget:
    return monthly("300", adjustment=Adjustment(**more))


def test_a_limit_follows_what_was_spent_and_says_why() -> None:
    rows = steady("2023-12-01", "2024-03-15")
    found = one(adjusting(), rows, "2024-03-16")
    mean = (D(310) + D(310) + D(290)) / 3
    assert found.limit == (mean * D("1.1")).quantize(D("0.01"))
    assert found.adjusted == "limit 333.67 instead of 300: mean of 3 periods 303.33 USD and 10 % headroom"


def test_a_limit_moves_by_bounded_steps_and_between_bounds() -> None:
    rows = steady("2023-12-01", "2024-03-15", "100")
    found = one(adjusting(), rows, "2024-03-16")
    assert found.limit == D(360)
    assert found.adjusted.endswith("at most 20 % from 300 at a time")
    capped = one(adjusting(most=D(320), periods=1), rows, "2024-03-16")
    assert capped.limit == D(320)
    assert capped.adjusted.endswith("between 150 and 320")
    low = one(adjusting(most_change=D(1)), steady("2023-12-01", "2024-03-15", "1"), "2024-03-16")
    assert low.limit == D(150)


def test_a_limit_stays_within_its_period_and_steps_on_from_there() -> None:
    rows = steady("2023-12-01", "2024-04-20", "100")
    march = stand(adjusting(), rows, "2024-03-16")
    cheaper = steady("2023-12-01", "2024-03-20", "50")
    assert stand(adjusting(), cheaper, "2024-03-21", previous=march.remembered).of("b").limit == D(360)
    april = stand(adjusting(), rows, "2024-04-10", previous=march.remembered).of("b")
    assert april.limit == D(432)
    assert april.history[-1].limit == D(360)


def test_a_limit_is_the_amount_until_enough_periods_have_settled() -> None:
    found = one(adjusting(), steady("2024-01-20", "2024-03-15"), "2024-03-16")
    assert (found.limit, found.adjusted) == (D(300), "")


charges = st.lists(
    st.builds(
        lambda day, amount, service, account, kind: row(
            (date(2024, 1, 1) + timedelta(day)).isoformat(),
            str(amount),
            service=service,
            account=account,
            category=kind,
        ),
        st.integers(0, 90),
        st.decimals(-1000, 1000, places=6),
        st.sampled_from(["compute", "storage", "network"]),
        st.sampled_from(["a", "b"]),
        st.sampled_from(list(ChargeCategory)),
    ),
    max_size=25,
)


@given(charges, st.integers(60, 90))
@settings(deadline=None, max_examples=25)
def test_spent_over_sub_scopes_adds_up(rows: list[CostRow], today: int) -> None:
    day = date(2024, 1, 1) + timedelta(today)
    names = ["compute", "storage", "network"]
    parts = [Budget(name, D(100), "USD", scope=Scope(service=frozenset({name}))) for name in names]
    crossed = [
        Budget(f"{name}-{account}", D(100), "USD", scope=Scope(service=frozenset({name}), account=frozenset({account})))
        for name in names
        for account in ("a", "b")
    ]
    whole = Budget("whole", D(100), "USD")
    table = CostTable.of(rows)
    report = evaluate([whole, *parts, *crossed], table, day, {SOURCE: day - 2 * DAY})
    for some in (parts, crossed):
        found = [report.of(each.name) for each in some]
        assert add(*(each.spent for each in found)) == report.of("whole").spent
        assert add(*(each.spent_settled for each in found)) == report.of("whole").spent_settled


@given(charges)
@settings(deadline=None, max_examples=15)
def test_every_charge_lies_in_one_period_of_history_or_the_open_one(rows: list[CostRow]) -> None:
    today = date(2024, 3, 31)
    budget = Budget("b", D(100), "USD", recurrence=Recurrence(Cycle.WEEKLY), net=True)
    first = steady("2023-12-25", "2024-01-01", "1")
    table = CostTable.of([*first, *rows])
    standing = evaluate([budget], table, today, {SOURCE: today}).of("b")
    listed = add(standing.spent, *(each.spent for each in standing.history))
    assert listed == add(*(each.billed for each in [*first, *rows]))


def test_an_amount_that_is_none_is_refused() -> None:
    for amount in ("0", "-1", "NaN", "Infinity"):
        with pytest.raises(ValueError, match="not an amount above 0"):
            monthly(amount)
    with pytest.raises(ValueError, match="not a share"):
        Threshold(D(0))


def test_history_that_is_read_after_the_first_look_is_taken_up() -> None:
    late = stand(adjusting(), steady("2024-03-10", "2024-03-15"), "2024-03-16")
    assert late.of("b").history == ()
    rows = steady("2023-12-01", "2024-03-15")
    found = stand(adjusting(), rows, "2024-03-16", previous=late.remembered)
    assert [(each.period_id, each.spent, each.reconstructed) for each in found.of("b").history] == [
        ("monthly/2023-12-01", D(310), True),
        ("monthly/2024-01-01", D(310), True),
        ("monthly/2024-02-01", D(290), True),
    ]
    # The first time, a limit moves as soon as enough periods are known; then it stays until the period ends.
    assert found.of("b").limit == D("333.67")
    assert stand(adjusting(), rows, "2024-03-17", previous=found.remembered).of("b").limit == D("333.67")


def test_periods_of_another_length_are_forgotten_with_it() -> None:
    rows = steady("2024-01-01", "2024-03-15")
    before = stand(monthly(), rows, "2024-03-16").remembered
    weekly = monthly("70", recurrence=Recurrence(Cycle.WEEKLY))
    found = one(weekly, rows, "2024-03-16", previous=before)
    assert {each.period_id.partition("/")[0] for each in found.history} == {"weekly"}
    assert {each.spent for each in found.history} == {D(70)}


@given(charges, st.sampled_from(list(Cycle)), st.integers(40, 90))
@settings(deadline=None, max_examples=25)
def test_periods_of_history_lie_side_by_side_up_to_the_open_one(rows: list[CostRow], cycle: Cycle, today: int) -> None:
    day = date(2024, 1, 1) + timedelta(today)
    budget = monthly("100", recurrence=Recurrence(cycle, date(2024, 1, 17)))
    table = CostTable.of([*steady("2023-12-01", "2024-01-01"), *rows])
    first = evaluate([budget], table, day, {SOURCE: day})
    later = evaluate([budget], table, day + 20 * DAY, {SOURCE: day + 20 * DAY}, first.remembered)
    for standing in (first.of("b"), later.of("b")):
        edges = [(each.first, each.until) for each in standing.history]
        assert all(until == begin for (_, until), (begin, _) in itertools.pairwise(edges))
        assert not edges or edges[-1][1] == standing.period.start.date()
