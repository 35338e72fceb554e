"""Cost Explorer through boto3 over HTTP: every cent of the ledger, whatever is asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from exporter.costs import Ask, Bill, Cost, CostTable
from exporter.costs.money import ZERO, add
from exporter.errors import BadData
from exporter.periods import DAY, HOUR, Grain, Month, Window, midnight
from exporter.providers import Access, Accessible
from exporter.providers.aws_cost_explorer import SPEC
from exporter.simulator.aws import PAYER, Aws, estate
from exporter.simulator.aws.estate import DATA, WEB
from exporter.simulator.ledger import Ledger
from exporter.simulator.server import Fault
from exporter.testing import BillContract, CountingMeter, Subject
from tests.providers.aws import NOW, USAGE, Sums, alone, charged, cloud, fetch, ledger, options, source, used

DAYS = Window.of_days(date(2026, 10, 1), date(2026, 11, 22))
HOURS = Window.of_days(date(2026, 11, 19), date(2026, 11, 22))
WEEK = Window.of_days(date(2026, 10, 30), date(2026, 11, 6))
NAMES = {PAYER: "payer", WEB: "web", DATA: "data"}


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    alone(monkeypatch)


@pytest.fixture
def aws() -> Iterator[Aws]:
    with cloud(ledger(), page_size=300) as aws:
        yield aws


class TestAwsCostExplorer(BillContract):
    @pytest.fixture(
        params=[{}, {"accounts": "each"}, {"dimensions": ["usage_type"], "regions": ["us-east-1"]}], ids=repr
    )
    def subject(self, request: pytest.FixtureRequest, aws: Aws) -> Subject:
        given = aws.options() | request.param
        return Subject.asked(SPEC, given, date(2026, 10, 28), date(2026, 11, 3), date(2026, 11, 9))


def sums(costs: CostTable | None, *key: str) -> Sums:
    assert costs is not None
    return {line.key: line.billed for line in costs.by(*key).rows()}


def lost(bill: Bill) -> Decimal:
    """The provider's own total less the sum of the rows."""
    assert bill.totals is not None
    return add(bill.totals.sum(), bill.costs.sum().copy_negate())


PLANS = [
    {},
    {"accounts": "each"},
    {"tags": ("team",)},
    {"tags": ("team",), "regions": ["us-east-1", "eu-west-1"]},
    {"tags": ("team",), "regions": ["us-east-1"], "accounts": "each"},
    {"dimensions": ["usage_type"]},
    {"dimensions": ["cost_category:Stage"], "accounts": "each"},
]


@pytest.mark.parametrize("grain", [Grain.DAY, Grain.HOUR])
@pytest.mark.parametrize("plan", PLANS, ids=repr)
def test_the_rows_are_the_ledger_to_the_last_digit(aws: Aws, plan: dict[str, object], grain: Grain) -> None:
    window = HOURS if grain is Grain.HOUR else DAYS
    bill = fetch(aws, window, grain, **plan)
    assert sums(bill.costs, "day") == {
        (day,): amount for (day,), amount in _by_day(charged(ledger(), window, "start")).items()
    }
    assert lost(bill) == 0


def _by_day(found: Sums) -> Sums:
    days: Sums = {}
    for (start,), amount in found.items():
        days[(start[:10],)] = add(days.get((start[:10],), ZERO), amount)
    return days


def test_effective_is_amortised_and_billed_is_the_invoice(aws: Aws) -> None:
    bill = fetch(aws, DAYS)
    charges = list(ledger().shown(NOW, DAYS))
    assert bill.costs.sum(Cost.EFFECTIVE) == add(*(charge.amortised for charge in charges))
    assert bill.costs.sum(Cost.EFFECTIVE) != bill.costs.sum() == add(*(charge.billed for charge in charges))


def test_the_default_plan_joins_service_with_region_and_account_with_category(aws: Aws) -> None:
    bill = fetch(aws, DAYS)
    usage = bill.costs.where(charge_category="usage")
    assert sums(usage, "service", "region") == used(ledger(), DAYS, "service", "region")
    assert set(sums(usage, "account")) == {(PAYER,)}
    rest = bill.costs.without(charge_category="usage")
    assert set(sums(rest, "service", "region")) == {("none", "")}
    assert sums(rest, "account", "charge_category") == {
        (account, category): amount
        for (account, category), amount in sums(bill.by_account, "account", "charge_category").items()
        if category != "usage"
    }
    assert sums(bill.by_account, "account") == charged(ledger(), DAYS, "account")
    questions = [call.detail["groups"] for call in aws.asked("GetCostAndUsage") if not call.detail["page"]]
    assert questions == [["LINKED_ACCOUNT", "RECORD_TYPE"], ["SERVICE", "REGION"]]


def test_each_account_is_joined_with_service_and_region_where_that_is_asked(aws: Aws) -> None:
    bill = fetch(aws, DAYS, accounts="each")
    usage = bill.costs.where(charge_category="usage")
    key = ("account", "service", "region")
    assert sums(usage, *key) == used(ledger(), DAYS, *key)
    assert bill.by_account is None


def test_listed_accounts_are_read_alone(aws: Aws) -> None:
    bill = fetch(aws, WEEK, accounts=[WEB, DATA])
    wanted = {key: amount for key, amount in charged(ledger(), WEEK, "account").items() if key != (PAYER,)}
    assert sums(bill.costs, "account") == wanted
    assert lost(bill) == 0


def test_categories_are_those_of_the_record_types(aws: Aws) -> None:
    window = Window.of_days(date(2026, 10, 1), date(2026, 11, 1))
    kinds = charged(ledger(), window, "kind")
    assert sums(fetch(aws, window).costs, "charge_category") == {
        ("usage",): add(*(amount for (kind,), amount in kinds.items() if kind in USAGE)),
        ("purchase",): add(kinds["Support",], kinds["SavingsPlanUpfrontFee",]),
        ("tax",): kinds["Tax",],
        ("credit",): kinds["Credit",],
        ("adjustment",): kinds["Refund",],
    }


def test_credits_larger_than_the_usage_leave_a_negative_month(aws: Aws) -> None:
    bill = fetch(aws, Window.of_days(date(2026, 10, 1), date(2026, 11, 1)))
    assert sums(bill.by_account, "account")[DATA,] < 0


def test_a_type_of_charge_that_nobody_knows_is_an_adjustment_and_is_named() -> None:
    some = next(ledger().shown(NOW, WEEK))
    odd = replace(some, kind="Karma", billed=Decimal("-3.0000000001"), start=midnight(date(2026, 11, 2)))
    with cloud(Ledger([some, odd], NAMES)) as aws:
        bill = fetch(aws, WEEK)
    assert sums(bill.costs.where(charge_category="adjustment"), "service") == {("none",): Decimal("-3.0000000001")}
    assert "Karma" in next(note.text for note in bill.notes if note.subject == "record_types")
    assert lost(bill) == 0


def test_tags_take_the_place_of_region_and_untagged_is_empty(aws: Aws) -> None:
    usage = fetch(aws, WEEK, tags=("team",)).costs.where(charge_category="usage")
    assert sums(usage, "region") == {("unknown",): add(*used(ledger(), WEEK, "kind").values())}
    assert set(sums(usage, "tag:team")) == {("web",), ("core$data",), ("none",)}


def test_regions_can_be_kept_apart_beside_a_tag(aws: Aws) -> None:
    usage = fetch(aws, WEEK, tags=("team",), regions=["us-east-1", "eu-west-1"]).costs.where(charge_category="usage")
    regions = used(ledger(), WEEK, "region")
    apart = {(name,): regions[name,] for name in ("us-east-1", "eu-west-1")}
    assert sums(usage, "region") == apart | {("other",): add(regions["ap-southeast-2",], regions["",])}


def test_two_labels_beside_service_are_refused(aws: Aws) -> None:
    with pytest.raises(BadData, match="aws_export") as caught:
        fetch(aws, DAYS, tags=("team", "env"))
    with pytest.raises(BadData):
        fetch(aws, DAYS, tags=("team",), dimensions=["usage_type"])
    assert "team and env" in caught.value.message
    assert aws.calls == []


def test_pages_make_no_difference() -> None:
    bills = []
    for size in (7, 100_000):
        with cloud(ledger(), page_size=size) as aws:
            bills.append(fetch(aws, WEEK, accounts="each"))
            assert (len(aws.asked("GetCostAndUsage")) > 20) is (size == 7)
    one, two = (sums(bill.costs, "day", "account", "service", "region", "charge_category") for bill in bills)
    assert one == two


def test_a_lost_page_shows_as_money() -> None:
    """Whichever it is, also the last of each question."""
    with cloud(ledger(), page_size=30) as aws:
        assert lost(fetch(aws, WEEK)) == 0
        pages = len(aws.calls) - 1
        assert pages > 5
        for after in range(pages):
            aws.inject(Fault("lost_page", "GetCostAndUsage", after=after))
            assert lost(fetch(aws, WEEK)) != 0


def test_an_account_that_left_the_bill_leaves_the_answer(aws: Aws) -> None:
    assert (WEB,) in sums(fetch(aws, WEEK, accounts="each").costs, "account")
    stayed = [charge for charge in ledger().charges if charge.account != WEB]
    with cloud(Ledger(stayed, NAMES)) as without:
        bill = fetch(without, WEEK, accounts="each")
    assert set(sums(bill.costs, "account")) == {(PAYER,), (DATA,)}
    assert bill.covered[0].accounts is None


def test_without_net_metrics_the_plain_ones_are_used_for_the_whole_bill() -> None:
    window = Window.of_days(date(2026, 10, 1), date(2026, 11, 1))  # no late charge in it
    with cloud(ledger(), net=False) as aws:
        bill = fetch(aws, window)
    assert bill.costs.sum() == add(*charged(ledger(), window, "account").values())
    assert "Billed is UnblendedCost, effective is AmortizedCost." in {note.text for note in bill.notes}
    with cloud(ledger()) as aws:
        assert "Billed is NetUnblendedCost, effective is NetAmortizedCost." in {
            note.text for note in fetch(aws, window).notes
        }


def test_late_charges_and_corrections_appear_at_the_next_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    day = Window.of_day(date(2026, 11, 12))
    seen = []
    for now in (datetime(2026, 11, 13, 6, tzinfo=UTC), datetime(2026, 11, 15, tzinfo=UTC), NOW):
        alone(monkeypatch, now)
        with cloud(ledger(), now) as aws:
            seen.append(fetch(aws, day).costs.sum())
        assert seen[-1] == add(*charged(ledger(), day, "account", now=now).values())
    assert len(set(seen)) == 3


def test_months_are_open_until_their_bill_is_final(monkeypatch: pytest.MonkeyPatch) -> None:
    months = {}
    for day in (3, 5):
        now = datetime(2026, 11, day, 12, tzinfo=UTC)
        alone(monkeypatch, now)
        with cloud(ledger(), now) as aws:
            bill = fetch(aws, Window.of_days(date(2026, 10, 1), date(2026, 11, day + 1)))
        months[day], estimated = bill.open_months, bill.estimated
        assert estimated == frozenset()
    assert months == {3: {Month(2026, 10), Month(2026, 11)}, 5: {Month(2026, 11)}}


def test_account_names_come_with_the_answer_and_from_organizations(aws: Aws) -> None:
    assert fetch(aws, WEEK).accounts == NAMES
    assert aws.asked("ListAccounts") == []
    aws.ledger.accounts["888800001111"] = "empty"
    try:
        assert fetch(aws, WEEK, organizations=True).accounts == NAMES | {"888800001111": "empty"}
    finally:
        del aws.ledger.accounts["888800001111"]


def test_organizations_names_more_accounts_than_fit_on_a_page() -> None:
    many = {f"{number:012}": f"team-{number}" for number in range(50)}
    with cloud(Ledger(ledger().charges, many)) as aws:
        assert fetch(aws, Window.of_day(date(2026, 11, 2)), organizations=True).accounts == many
        assert len(aws.asked("ListAccounts")) == 3


def test_an_account_without_an_organization_still_has_a_bill() -> None:
    with cloud(ledger(), organization=False) as aws:
        bill = fetch(aws, WEEK, organizations=True)
    assert bill.accounts == NAMES
    assert "AWSOrganizationsNotInUseException" in next(n.text for n in bill.notes if n.subject == "organizations")


# What is kept, and the edges of the calendar


def test_more_than_fourteen_months_back_nothing_is_asked_and_a_note_says_so(aws: Aws) -> None:
    bill = fetch(aws, Window.of_days(date(2024, 1, 1), date(2025, 11, 1)))
    assert bill.covered[0].window == Window.of_days(date(2025, 10, 1), date(2025, 11, 1))
    assert "2025-10-01" in next(note.text for note in bill.notes if note.subject == "history")
    nothing = fetch(aws, Window.of_days(date(2024, 1, 1), date(2025, 10, 1)))
    assert (nothing.covered, sums(nothing.costs, "day")) == ((), {})


def test_the_future_is_covered_and_not_asked_for(aws: Aws) -> None:
    bill = fetch(aws, Window.of_days(date(2026, 11, 20), date(2026, 12, 5)))
    assert bill.covered[0].window == Window.of_days(date(2026, 11, 20), date(2026, 12, 5))
    assert {call.detail["period"]["End"] for call in aws.asked("GetCostAndUsage")} == {"2026-11-22"}
    aws.reset()
    ahead = fetch(aws, Window.of_days(date(2026, 12, 1), date(2026, 12, 5)))
    assert (ahead.covered[0].window.start, aws.calls) == (midnight(date(2026, 12, 1)), [])


@pytest.mark.parametrize("day", [date(2026, 3, 1), date(2026, 12, 31), date(2027, 1, 1), date(2028, 2, 29)])
def test_five_minutes_past_midnight_every_day_is_there_once(monkeypatch: pytest.MonkeyPatch, day: date) -> None:
    now = midnight(day) + timedelta(minutes=5)
    alone(monkeypatch, now)
    bill = estate(7, now, 2)
    window = Window.of_days(Month.of(day).previous().first, day + DAY)
    with cloud(bill, now) as aws:
        found = sums(fetch(aws, window).costs, "day")
    assert found == _by_day(charged(bill, window, "start", now=now))
    assert len(found) == len(list(window.days()))


def test_hours_lie_in_their_hour_and_no_further_back_than_fourteen_days(aws: Aws) -> None:
    bill = fetch(aws, Window.of_days(date(2026, 11, 1), date(2026, 11, 22)), Grain.HOUR)
    assert bill.covered[0].window.start == midnight(date(2026, 11, 7))
    starts = charged(ledger(), bill.covered[0].window, "start")
    assert sums(bill.costs, "hour") == {(f"{start[:10]}T{start[11:13]}:00Z",): a for (start,), a in starts.items()}
    assert {end - start for start, end in bill.costs.select("ChargePeriodStart", "ChargePeriodEnd")} == {HOUR}


# What it costs, and who asks


@pytest.mark.parametrize("grain", [Grain.DAY, Grain.HOUR])
@pytest.mark.parametrize("plan", [*PLANS, {"organizations": True}, {"payer": PAYER}, {"accounts": [WEB]}], ids=repr)
def test_calls_are_what_fetch_asks(plan: dict[str, object], grain: Grain) -> None:
    meter = CountingMeter()
    with cloud(ledger(), page_size=100_000) as aws:
        fetch(aws, HOURS, grain, meter=meter, accounts_expected=3, **plan)
        tags = plan.get("tags", ())
        given = options(aws, accounts_expected=3, **{key: value for key, value in plan.items() if key != "tags"})
    planned = SPEC.calls(given, Ask(HOURS, grain, tags))  # type: ignore[arg-type]
    assert sorted(meter.operations) == sorted(call.operation for call in planned for _ in range(call.times))
    assert {call.charge for call in planned if call.operation == "ce:GetCostAndUsage"} == {Decimal("0.01")}


def test_routes_are_known_where_the_options_tell_the_payer(aws: Aws) -> None:
    assert SPEC.routes(options(aws)) == ()
    assert SPEC.routes(options(aws, payer=PAYER)) == (f"aws:{PAYER}",)
    assert SPEC.routes(options(aws, role_arn=f"arn:aws:iam::{WEB}:role/reader")) == (f"aws:{WEB}",)


def test_access_asks_one_paid_page_and_shows_no_value(aws: Aws) -> None:
    meter = CountingMeter()
    provider = source(aws, meter)
    assert isinstance(provider, Accessible)
    access = provider.access()
    assert meter.operations == ["sts:GetCallerIdentity", "ce:GetCostAndUsage"]
    assert (access.identity, access.newest) == (f"arn:aws:iam::{PAYER}:user/cost-reader", NOW.date())
    assert access.calls == tuple(meter.operations)
    assert access.shape["ResultsByTime"][0]["Estimated"] == "bool"  # type: ignore[index]
    assert not any(word in repr(access.shape) for word in (PAYER, "2026", "0."))


def test_access_names_a_permission_that_is_missing_and_useful(aws: Aws) -> None:
    aws.inject(Fault("denied", "ListAccounts"))
    found: Access = source(aws, organizations=True).access()
    assert found.missing == ("organizations:ListAccounts",)
