"""One poll: what it stores, remembers and refuses."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from exporter import log
from exporter.costs import Ask, Bill, CostTable, Note, Scope
from exporter.errors import AccessDenied, BadData, NotReady, Throttled
from exporter.periods import ALWAYS, DAY, Grain, Month, Window, midnight
from exporter.polling import schedule
from exporter.store.state import Failure, Success
from tests.costs.rows import row
from tests.polling.house import HOUR, House, at, full


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_a_poll_stores_the_bill_with_its_labels(house: House) -> None:
    house.add("a", full(row("2024-09-01", "1.5", provider="", region="")), label="huawei")
    outcome = house.poll("a")
    assert isinstance(outcome, Success)
    assert (outcome.rows, outcome.restated) == (1, {"USD": 0})
    [line] = house.lake.read(ALWAYS).by("source", "provider", "region").rows()
    assert line.key == ("a", "huawei", "global")


def test_the_first_poll_asks_for_the_history_and_the_next_for_what_moves(house: House) -> None:
    provider = house.add("a", full())
    house.poll("a")
    house.poll("a")
    assert [ask.window.start for ask in provider.asked] == [at("2023-07-01T00:00:00"), at("2024-09-01T00:00:00")]


def test_a_changed_question_reads_the_history_again(house: House) -> None:
    provider = house.add("a", full(row("2024-07-01", "1", tags={"team": "web"})))
    house.poll("a")
    house.sources["a"] = replace(house.sources["a"], tags=("team",))
    house.poll("a")
    house.poll("a")
    assert [ask.window.start.month for ask in provider.asked] == [7, 7, 9]
    assert provider.asked[1].tags == ("team",)


def test_a_back_fill_does_not_count_as_having_read_the_history(house: House) -> None:
    provider = house.add("a", full(row("2024-01-05", "1")))
    house.poll("a", window=Window.of_days(date(2024, 1, 1), date(2024, 2, 1)))
    house.poll("a")
    assert provider.asked[1].window.start == at("2023-07-01T00:00:00")


def test_a_source_that_left_the_configuration_is_no_rival(house: House) -> None:
    house.add("old-name", full(row("2024-09-01", "1", billing_account="1111")))
    house.poll("old-name")
    del house.sources["old-name"]
    house.add("new-name", full(row("2024-09-01", "1", billing_account="1111")))
    assert isinstance(house.poll("new-name"), Success)
    assert set(house.shown("cloudspend_month_to_date_cost", "source")) == {("new-name",)}


def test_a_poll_may_be_told_its_window(house: House) -> None:
    provider = house.add("a", full())
    window = Window.of_days(date(2024, 1, 1), date(2024, 2, 1))
    house.poll("a", window=window)
    assert provider.asked[0].window == window


@pytest.mark.parametrize(
    ("error", "reason", "again"),
    [
        (AccessDenied("no", hint="grant x:Read"), "access_denied", 8 * HOUR),
        (BadData("row 3"), "bad_data", 8 * HOUR),
        (NotReady("not enabled"), "not_ready", 8 * HOUR),
        (Throttled("slow down", retry_after=timedelta(minutes=9)), "throttled", timedelta(minutes=9)),
        (KeyError("amount"), "unavailable", timedelta(minutes=1)),
    ],
)
def test_a_failure_keeps_the_stored_bill_and_has_a_reason(
    house: House, error: Exception, reason: str, again: timedelta
) -> None:
    house.add("a", full(row("2024-09-01", "1")))
    house.poll("a")
    outcome = house.poll("a", error)
    assert isinstance(outcome, Failure)
    assert (outcome.reason, outcome.next_due - house.now) == (reason, again)
    assert house.lake.read(ALWAYS).sum() == 1
    with house.state() as state:
        remembered = state.source("a")
    assert not remembered.up
    assert remembered.last_success == house.now
    assert remembered.failed_reason == reason


def test_a_bill_with_charges_outside_of_what_it_covers_is_refused_whole(house: House) -> None:
    day = Window.of_day(date(2024, 9, 1))
    bill = Bill(CostTable.of([row("2024-09-01", "1"), row("2024-09-02", "2")]), (Scope(day),))
    house.add("a", lambda _ask: bill)
    outcome = house.poll("a")
    assert isinstance(outcome, Failure)
    assert "1 charges lie outside" in outcome.message
    assert house.lake.read(ALWAYS).rows() == []


def test_a_secret_in_an_unexpected_error_is_not_remembered(house: House) -> None:
    log.keep_secret("very-secret-word")
    house.add("a", ValueError("token very-secret-word refused"))
    outcome = house.poll("a")
    assert isinstance(outcome, Failure)
    assert "very-secret-word" not in outcome.message
    assert "<secret>" in outcome.message


def test_a_change_of_settled_days_is_a_restatement_and_one_of_moving_days_is_not(house: House) -> None:
    house.add("a", full(row("2024-09-01", "10"), row("2024-09-19", "5")))
    house.poll("a")
    house.now += 8 * HOUR
    outcome = house.poll("a", full(row("2024-09-01", "7.5"), row("2024-09-19", "6")))
    assert isinstance(outcome, Success)
    assert outcome.restated == {"USD": Decimal("-2.5")}


def test_a_day_that_was_still_moving_at_the_poll_before_is_not_restated_when_it_settles(house: House) -> None:
    house.add("a", full(row("2024-09-19", "5")))
    house.poll("a")
    house.now += 72 * HOUR
    outcome = house.poll("a", full(row("2024-09-19", "6")))
    assert isinstance(outcome, Success)
    assert outcome.restated == {"USD": 0}


def test_money_without_a_line_is_counted_to_the_last_digit(house: House) -> None:
    rows = [row("2024-09-01", "10"), row("2024-09-01", "3", "EUR")]
    totals = CostTable.of([row("2024-09-01", "10.000000000000000000000001"), row("2024-09-01", "3", "EUR")])
    house.add("a", full(*rows, totals=totals))
    outcome = house.poll("a")
    assert isinstance(outcome, Success)
    assert outcome.unattributed == {"USD": Decimal("0.000000000000000000000001"), "EUR": 0}


@pytest.mark.parametrize(
    ("totals", "months"),
    [
        (("12", "10", "10"), [7, 7, 9]),
        (("12", "12", "12"), [7, 7, 9]),
        (("10.0000001", "10", "10"), [7, 9, 9]),
        (("10", "12", "12"), [7, 9, 9]),
    ],
)
def test_history_that_does_not_add_up_is_read_once_more_and_not_for_ever(
    house: House, totals: tuple[str, ...], months: list[int]
) -> None:
    provider = house.add("a", full())
    for total in totals:
        house.poll("a", full(row("2024-09-01", "10"), totals=CostTable.of([row("2024-09-01", total)])))
    assert [ask.window.start.month for ask in provider.asked] == months


def test_hours_are_kept_beside_the_days_for_fourteen_days(house: House) -> None:
    def answer(ask: Ask) -> Bill:
        starts = [at("2024-09-05T00:00:00") + i * 6 * HOUR for i in range(4 * 15)]
        rows = [row("2024-09-05", "1", start=start, end=start + HOUR) for start in starts]
        if ask.grain is Grain.DAY:
            rows = [row(start.date().isoformat(), "4") for start in starts[::4]]
        return Bill(CostTable.of(rows).during(ask.window), (Scope(ask.window),))

    ends = "cloudspend_data_hour_end_timestamp_seconds"
    house.add("a", answer, hours=True)
    house.add("b", full(row("2024-09-05", "1")))
    house.poll("a")
    house.poll("b")
    assert house.shown("cloudspend_hourly_cost", "source") == {}, "nothing was charged in that hour"
    assert house.shown(ends, "source") == {("a",): at("2024-09-18T12:00:00").timestamp()}
    house.now += 72 * HOUR
    house.poll("a")
    days, hours = house.lake.read(ALWAYS).where(source="a"), house.lake.read(ALWAYS, Grain.HOUR)
    assert (days.sum(), days.by("day").rows()[0].key) == (60, ("2024-09-05",))
    assert hours.by("day").rows()[0].key == ("2024-09-10",)
    assert hours.sum() == 40
    assert house.lake.coverage("a") == Window(at("2023-07-01T00:00:00"), at("2024-09-24T00:00:00"))
    assert house.shown("cloudspend_hourly_cost", "source") == {("a",): 1}
    assert house.shown(ends, "source") == {("a",): at("2024-09-19T19:00:00").timestamp()}


def test_no_hour_has_settled_before_the_first_that_was_read(house: House) -> None:
    def answer(ask: Ask) -> Bill:
        hours = [
            row("2024-09-20", "1", start=(start := at("2024-09-20T00:00:00") + i * HOUR), end=start + HOUR)
            for i in range(6)
        ]
        day = CostTable.of([row("2024-09-20", "6")])
        return Bill(CostTable.of(hours) if ask.grain is Grain.HOUR else day, (Scope(ask.window),))

    house.add("a", answer, hours=True)
    house.poll("a")
    assert house.lake.read(ALWAYS, Grain.HOUR).sum() == 6
    assert house.shown("cloudspend_data_hour_end_timestamp_seconds", "source") == {}


def test_rows_are_those_of_the_days_at_the_first_poll_and_at_every_other(house: House) -> None:
    def answer(ask: Ask) -> Bill:
        starts = [at("2024-09-18T00:00:00") + i * HOUR for i in range(24)]
        hours = [row("2024-09-18", "1", start=start, end=start + HOUR) for start in starts]
        day = CostTable.of([row("2024-09-18", "20"), row("2024-09-18", "4", service="s3")])
        covered = (Scope(ask.window),)
        return Bill(CostTable.of(hours), covered) if ask.grain is Grain.HOUR else Bill(day, covered, by_account=day)

    house.add("a", answer, hours=True)
    told = []
    for _ in range(2):
        outcome = house.poll("a")
        assert isinstance(outcome, Success)
        told.append(outcome.rows)
    assert told == [2, 2]
    assert house.lake.rows("a") == 2
    assert house.lake.sources() == {"a": 2 + 2 + 24}


def test_accounts_that_a_bill_covers_bear_their_label_values_too(house: House) -> None:
    day = Window.of_day(date(2024, 9, 1))
    first = [row("2024-09-01", "1", account=f"/subscriptions/{name}") for name in ("x", "y")]
    house.add("a", lambda _ask: Bill(CostTable.of(first), (Scope(day),)))
    house.poll("a")
    again = Bill(
        CostTable.of([row("2024-09-01", "5", account="/subscriptions/y")]), (Scope(day, ("/subscriptions/y",)),)
    )
    house.poll("a", lambda _ask: again)
    found = {line.key[0]: line.billed for line in house.lake.read(ALWAYS).by("account").rows()}
    assert found == {"x": 1, "y": 5}


def test_a_bill_of_one_month_leaves_the_bills_of_others_alone(house: House) -> None:
    """As a file does: what was moved away keeps its history."""

    def answer(month: Month, amount: str) -> Bill:
        charge = row(str(month.first), amount, billing_month=month)
        return Bill(CostTable.of([charge]), (Scope(ALWAYS, billing=(month,)),))

    house.add("a", lambda _ask: answer(Month(2024, 8), "1"))
    house.poll("a")
    house.poll("a", lambda _ask: answer(Month(2024, 9), "2"))
    found = {line.key[0]: line.billed for line in house.lake.read(ALWAYS).by("month").rows()}
    assert found == {"2024-08": 1, "2024-09": 2}


def test_two_routes_to_one_billing_account_are_refused_for_the_days_both_bill(house: House) -> None:
    house.add("a", full(row("2024-09-01", "1", billing_account="1111")))
    house.add("b", full(row("2024-09-01", "1", billing_account="1111")))
    house.add("c", full(row("2024-09-02", "1", billing_account="1111"), row("2024-09-01", "1", billing_account="2222")))
    house.poll("a")
    refused = house.poll("b")
    assert isinstance(refused, Failure)
    assert refused.reason == "bad_data"
    assert (
        "billing account 1111 of aws is already billed by source 'a', 2024-09-01 in the bill of 2024-09"
        in refused.message
    )
    assert isinstance(house.poll("c"), Success)
    assert isinstance(house.poll("a"), Success), "a source is no rival of its own"


def test_a_back_fill_says_nothing_about_the_present(house: House) -> None:
    estimated = frozenset({date(2024, 9, 15)})
    house.add("a", full(row("2024-01-05", "1"), row("2024-09-14", "2"), estimated=estimated))
    house.poll("a")
    house.poll("a", AccessDenied("no"))
    with house.state() as state:
        before = state.source("a")
    january = Window.of_days(date(2023, 1, 1), date(2023, 2, 1))
    outcome = house.poll("a", full(row("2023-01-05", "4")), window=january)
    assert isinstance(outcome, Success)
    with house.state() as state:
        after = state.source("a")
    assert after == replace(before, rows=3)
    assert house.lake.read(ALWAYS).sum() == 7


def test_a_back_fill_restates_nothing(house: House) -> None:
    house.add("a", full(row("2024-09-01", "1")))
    house.poll("a")
    house.poll("a", window=Window.of_days(date(2022, 1, 1), date(2022, 2, 1)))
    outcome = house.poll("a", full(row("2024-09-01", "1"), row("2022-01-01", "9")))
    assert isinstance(outcome, Success)
    assert outcome.restated == {"USD": 0}


def test_a_credit_of_one_bill_for_a_day_of_another_is_no_second_route(house: House) -> None:
    bills = {"sep": Month(2024, 9), "oct": Month(2024, 10)}
    for name, month in bills.items():
        charge = row("2024-09-15", "1", billing_account="1111", billing_month=month)
        scope = Scope(ALWAYS, billing=(month,))
        house.add(name, lambda _ask, charge=charge, scope=scope: Bill(CostTable.of([charge]), (scope,)))
        assert isinstance(house.poll(name), Success)
    assert house.lake.read(ALWAYS).sum() == 2


def test_a_provider_that_exits_is_a_failure_like_any_other(house: House) -> None:
    def leave(_ask: Ask) -> Bill:
        raise SystemExit(0)

    house.add("a", leave)
    outcome = house.poll("a")
    assert isinstance(outcome, Failure)
    assert outcome.message == "unexpected SystemExit: 0"


def test_the_same_rounded_amounts_are_counted_once_however_often_they_are_read(house: House) -> None:
    house.add("a", full(row("2024-09-01", "1"), rounded=5))
    house.poll("a")
    house.poll("a")
    with house.state() as state:
        counted = {counter.name: counter.value for counter in state.counters()}
    assert counted["cloudspend_source_rounded_values_total"] == 5


def test_a_damaged_month_is_read_again(house: House) -> None:
    house.add("a", full(row("2024-08-01", "1"), row("2024-09-01", "2")))
    house.poll("a")
    for path in house.lake.folder.rglob("*-2024-08.parquet"):
        path.unlink()
    for path in house.lake.folder.glob("grain=*/*/month=2024-08/bill.parquet"):
        path.write_bytes(b"damaged")
    assert house.lake.repair() == ("a",)
    with house.state() as state:
        state.ask_again("a")
        assert schedule.due([house.sources["a"]], state.sources(), house.now)
    house.poll("a")
    assert house.lake.read(ALWAYS).sum() == 3


def test_how_long_days_move_is_learned_from_poll_to_poll(house: House) -> None:
    def answer(ask: Ask) -> Bill:
        days = Window.of_days(date(2024, 9, 1), house.now.date() + DAY).days()
        rows = [row(str(day), "10" if house.now >= midnight(day) + 72 * HOUR else "8") for day in days]
        return Bill(CostTable.of(rows).during(ask.window), (Scope(ask.window),))

    house.now = at("2024-09-01T12:00:00")
    house.add("a", answer)
    for _ in range(28):
        house.poll("a")
        house.now += DAY
    with house.state() as state:
        # A day is 72 hours old at midnight, and the poll at noon is the first to see it.
        assert state.source("a").observed_settling == (60 * HOUR).total_seconds()


def test_notes_and_account_names_and_roundings_are_remembered(house: House) -> None:
    rows = [row("2024-09-01", "1", account="/subscriptions/x-1", provider="Microsoft")]
    accounts = {"/subscriptions/x-1": "Production", "unseen": "Nobody"}
    house.add("a", full(*rows, accounts=accounts, notes=(Note("moved", "by a day"),), rounded=3))
    outcome = house.poll("a")
    assert isinstance(outcome, Success)
    assert outcome.notes == {"moved": "by a day"}
    with house.state() as state:
        assert state.accounts() == {("azure", "x-1"): "Production"}
        counted = {counter.name: counter.value for counter in state.counters()}
    assert counted["cloudspend_source_rounded_values_total"] == 3
    assert counted["cloudspend_source_api_requests_total"] == 1


def test_a_bill_that_is_unchanged_is_a_reading_like_any_other(house: House) -> None:
    estimated = frozenset({date(2024, 9, 19)})

    def answer(ask: Ask) -> Bill:
        if ask.known == "files of monday":
            return Bill(CostTable.nothing(), (), made_of=ask.known, unchanged=True)
        costs = CostTable.of([row("2024-09-18", "1"), row("2024-09-19", "2")])
        said = (Note("moved", "by a day"),)
        return Bill(costs, (Scope(ask.window),), made_of="files of monday", estimated=estimated, notes=said)

    provider = house.add("a", answer)
    house.sources["a"] = replace(house.sources["a"], spec=replace(house.sources["a"].spec, history=None))
    house.poll("a")
    before = house.lake.generation
    house.now += 72 * HOUR
    outcome = house.poll("a")
    assert isinstance(outcome, Success)
    assert [ask.known for ask in provider.asked] == ["", "files of monday"]
    assert (outcome.rows, outcome.restated, outcome.notes) == (2, {"USD": 0}, {"moved": "by a day"})
    assert outcome.estimated == estimated
    assert house.lake.generation == before
    assert house.lake.read(ALWAYS).sum() == 3
    with house.state() as state:
        assert state.source("a").last_success == house.now
    assert house.shown("cloudspend_data_end_timestamp_seconds", "source") == {
        ("a",): at("2024-09-19T00:00:00").timestamp()
    }, "the 18th was read late enough now"


@pytest.mark.parametrize("lost", ["question", "month", "source", "back-fill"])
def test_what_the_store_does_not_hold_as_it_was_asked_is_read_again(house: House, lost: str) -> None:
    def answer(ask: Ask) -> Bill:
        assert not ask.known
        costs = CostTable.of([row("2024-08-01", "1"), row("2024-09-18", str(len(provider.asked)))])
        return Bill(costs.during(ask.window), (Scope(ask.window),), made_of="files")

    provider = house.add("a", answer)
    house.sources["a"] = replace(house.sources["a"], spec=replace(house.sources["a"].spec, history=None))
    house.poll("a")
    if lost == "question":
        house.sources["a"] = replace(house.sources["a"], tags=("team",))
    if lost == "month":
        for path in house.lake.folder.rglob("*2024-08*.parquet"):
            path.unlink()
        for path in house.lake.folder.glob("grain=*/*/month=2024-08/bill.parquet"):
            path.unlink()
        assert house.lake.repair() == ("a",)
    if lost == "source":
        house.lake.forget("a")
    if lost == "back-fill":  # it brought other figures than those that were stored with the mark
        house.poll("a", window=Window.of_days(date(2024, 9, 1), date(2024, 10, 1)))
    assert isinstance(house.poll("a"), Success)


def test_months_that_the_provider_calls_open_are_remembered_and_read_again(house: House) -> None:
    august = frozenset({Month(2024, 8), Month(2024, 9)})
    provider = house.add("a", full(row("2024-08-05", "1"), row("2024-09-01", "1"), open_months=august))
    house.poll("a")
    assert house.shown("cloudspend_previous_month_closed", "source") == {("a",): 0}
    house.poll("a", full(row("2024-09-01", "1"), open_months=frozenset({Month(2024, 9)})))
    assert provider.asked[1].window.start == at("2024-08-01T00:00:00")
    house.poll("a")
    assert provider.asked[2].window.start == at("2024-09-01T00:00:00")
    assert house.shown("cloudspend_previous_month_closed", "source") == {("a",): 1}
