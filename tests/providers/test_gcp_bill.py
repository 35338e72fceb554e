"""The bill of Google Cloud, through Google's own client from a simulated BigQuery: every amount, day and month."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest

from exporter.clock import Clock
from exporter.costs import Ask, Bill, Cost, CostTable
from exporter.errors import BadData
from exporter.periods import Grain, Month, Window
from exporter.providers.gcp import SPEC
from exporter.simulator.gcp import GoogleCloud, estate
from exporter.simulator.ledger import Charge, Ledger
from exporter.simulator.server import Fault
from exporter.testing import BillContract, Subject
from tests.providers.gcp_cloud import NAMES, NOW, at, charge, credit, hours, later, source, standing

TODAY = datetime(2026, 11, 20, 12, tzinfo=UTC)
WHOLE = Window.of_days(date(2026, 9, 28), date(2026, 11, 21))
MARCH = Window.of_days(date(2024, 3, 1), date(2024, 4, 1))


@pytest.fixture(scope="module")
def big() -> Iterator[GoogleCloud]:
    """The estate, in pages of 100 rows."""
    with GoogleCloud(estate(7, TODAY, months=3), Clock(frozen=TODAY), page_rows=100) as cloud:
        yield cloud


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def reading(tmp_path: Path) -> Callable[..., Bill]:
    """What a cloud over these charges answers."""

    def read(*charges: Charge, window: Window = MARCH, now: datetime = NOW, tags: Any = (), **options: Any) -> Bill:
        with standing(*charges, now=now) as cloud:
            grain = options.pop("grain", Grain.DAY)
            return source(cloud, tmp_path, **options).fetch(Ask(window, grain, tags))

    return read


class TestGcp(BillContract):
    spec = SPEC
    window: ClassVar = (date(2026, 9, 28), date(2026, 11, 3))
    split: ClassVar = date(2026, 10, 15)

    @pytest.fixture
    def subject(self, big: GoogleCloud, tmp_path: Path) -> Subject:
        key = tmp_path / "key.json"
        key.write_text(big.key_file(), "utf-8")
        given = {"table": big.standard, "endpoint_url": big.url, "credentials_file": str(key)}
        first, until = self.window
        return Subject.asked(self.spec, given, first, self.split, until)


def sums(costs: CostTable, *by: str) -> dict[tuple[str, ...], Decimal]:
    return {line.key: line.billed for line in costs.by(*by).rows()}


def test_the_rate_to_dollars_is_the_exports_own_of_its_newest_day(reading: Callable[..., Bill]) -> None:
    bill = reading(charge("2024-03-02T10:00", "2"), charge("2024-03-04T10:00", "5", currency="USD"))
    # One dollar is 0.92 of the bill's currency in what the simulated export holds.
    assert {name: (it.month, it.rate) for name, it in bill.rates.items()} == {
        "EUR": (Month(2024, 3), Decimal("1.086956521739130434782609"))
    }


def test_the_sum_of_a_big_bill_is_its_ledgers_by_day_service_region_and_project(
    big: GoogleCloud, tmp_path: Path
) -> None:
    big.reset()
    bill = source(big, tmp_path).fetch(Ask(WHOLE))
    assert len(big.asked("tabledata.list")) > 3
    truth = big.ledger.totals(
        TODAY, lambda each: (f"{each.start:%Y-%m-%d}", each.service, each.region, each.account), WHOLE
    )
    assert sums(bill.costs, "day", "service", "region", "account") == truth
    assert bill.totals is not None
    assert bill.totals.sum() == bill.costs.sum() == big.ledger.totals(TODAY, lambda _: "", WHOLE)[""]


def test_standard_detailed_and_focus_tables_give_the_same_totals(big: GoogleCloud, tmp_path: Path) -> None:
    by = ("day", "service", "region", "account", "billing_account", "billing_month", "tag:team", "tag:env")
    found = [
        sums(source(big, tmp_path, table=table).fetch(Ask(WHOLE, tags=("team", "env"))).costs, *by)
        for table in (big.standard, big.detailed, big.focus)
    ]
    assert found[0] == found[1] == found[2]
    assert {key[4] for key in found[0]} == {"01ABCD-234567-89EF01"}


def test_usage_is_net_of_discounts_and_promotions_are_credits_even_past_the_cost(reading: Callable[..., Bill]) -> None:
    line = {"line": "a", "at_list": "12"}
    costs = reading(
        charge("2024-03-05T03:00", "10", details=line),
        credit("2024-03-05T03:00", "-2.5", "COMMITTED_USAGE_DISCOUNT_DOLLAR_BASE", "a"),
        credit("2024-03-05T03:00", "-0.5", "FEE_UTILIZATION_OFFSET", "a"),
        credit("2024-03-05T03:00", "-11", "PROMOTION", "a"),
        credit("2024-03-05T03:00", "-1", "A_TYPE_YET_TO_COME", "a"),
    ).costs
    assert sums(costs, "charge_category") == {("usage",): Decimal(7), ("credit",): Decimal(-12)}
    assert costs.sum() == Decimal(-5)
    assert (costs.sum(Cost.CONTRACTED), costs.sum(Cost.LIST)) == (Decimal(10), Decimal(12))


def test_kinds_of_cost_become_categories_and_adjustments_with_a_reason_are_corrections(
    reading: Callable[..., Bill],
) -> None:
    bill = reading(
        charge("2024-03-05T03:00", "10"),
        charge("2024-03-05T03:00", "1.9", kind="tax", account="", region="", service="Invoice"),
        charge("2024-03-05T03:00", "-0.01", kind="rounding_error", account="", region="", service="Invoice"),
        charge(
            "2024-03-05T03:00", "-3", kind="adjustment", details={"adjustment_id": "x", "adjustment_type": "GOODWILL"}
        ),
        charge("2024-03-05T03:00", "0.25", kind="a_word_yet_to_come"),
    )
    assert sums(bill.costs, "charge_category") == {
        ("usage",): Decimal(10),
        ("tax",): Decimal("1.9"),
        ("adjustment",): Decimal("-2.76"),
    }
    corrections = bill.costs.select("BilledCost", "IsRefund", where="ChargeClass = 'Correction'")
    assert corrections == [(Decimal(-3), True)]
    assert [note.subject for note in bill.notes] == ["unknown_charge_category"]
    assert sums(bill.costs.where(charge_category="tax"), "account", "region") == {("", ""): Decimal("1.9")}


def test_a_day_on_the_pacific_edge_lies_in_two_invoices(reading: Callable[..., Bill]) -> None:
    """In March 2024 midnight on the Pacific coast is 08:00 UTC before the 10th."""
    costs = reading(
        charge("2024-03-01T07:00", "1"), charge("2024-03-01T08:00", "2"), charge("2024-02-29T08:00", "4"),
        window=Window.of_days(date(2024, 2, 28), date(2024, 3, 2)),
    ).costs  # fmt: skip
    assert sums(costs, "day", "billing_month") == {
        ("2024-02-29", "2024-02"): Decimal(4),
        ("2024-03-01", "2024-02"): Decimal(1),
        ("2024-03-01", "2024-03"): Decimal(2),
    }


@pytest.mark.parametrize(
    ("now", "days"),
    [
        ("2024-03-01T00:05", ("2024-02-28", "2024-02-29", "2024-03-01")),
        ("2025-01-01T00:05", ("2024-12-30", "2024-12-31", "2025-01-01")),
        ("2024-03-01T08:00", ("2024-02-28", "2024-02-29", "2024-03-01")),
    ],
)
@pytest.mark.parametrize("table", ["standard", "focus"])
def test_no_day_is_lost_or_doubled_at_the_end_of_a_month(
    tmp_path: Path, now: str, days: tuple[str, ...], table: str
) -> None:
    charges = [each for n, day in enumerate(days) for each in hours(f"{day}T00:00", 24, f"{n + 1}.01")]
    with standing(*charges, now=at(now)) as cloud:
        window = Window.of_days(date.fromisoformat(days[0]), date.fromisoformat(days[-1]) + later(1))
        costs = source(cloud, tmp_path, table=getattr(cloud, table)).fetch(Ask(window)).costs
        truth = cloud.ledger.totals(at(now), lambda each: (f"{each.start:%Y-%m-%d}",), window)
    assert sums(costs, "day") == truth
    assert list(truth) == [(day,) for day in days]


def test_late_rows_change_the_day_they_are_for_and_no_other(tmp_path: Path) -> None:
    early = charge("2024-03-05T03:00", "1")
    late = charge("2024-03-05T04:00", "0.5", shown_from=at("2024-03-18T09:00"))
    correction = charge(
        "2024-03-06T03:00",
        "-0.25",
        kind="adjustment",
        shown_from=at("2024-03-18T09:00"),
        details={"adjustment_id": "x"},
    )
    day = Window.of_days(date(2024, 3, 5), date(2024, 3, 7))
    with standing(early, charge("2024-03-06T03:00", "2"), late, correction, now=at("2024-03-10T00:00")) as cloud:
        gcp = source(cloud, tmp_path)
        assert sums(gcp.fetch(Ask(day)).costs, "day") == {("2024-03-05",): Decimal(1), ("2024-03-06",): Decimal(2)}
        cloud.clock = Clock(frozen=at("2024-03-18T12:00"))
        after = sums(gcp.fetch(Ask(day)).costs, "day")
        assert after == {("2024-03-05",): Decimal("1.5"), ("2024-03-06",): Decimal("1.75")}
        assert sums(gcp.fetch(Ask(Window.of_day(date(2024, 3, 18)))).costs) == {}


def test_amounts_are_summed_as_they_are_printed(reading: Callable[..., Bill]) -> None:
    """As doubles ten times 0.1 are 0.9999999999999999, and 1e-07 is written with an exponent."""
    assert reading(*hours("2024-03-05T00:00", 10)).costs.sum() == Decimal(1)
    assert reading(*hours("2024-03-05T00:00", 3, "0.0000001")).costs.sum() == Decimal("0.0000003")


def test_a_label_of_the_resource_goes_before_its_projects(reading: Callable[..., Bill]) -> None:
    project = {"project_label_team": "platform"}
    costs = reading(
        charge("2024-03-05T00:00", "1", tags={"team": "shop"}, details=project),
        charge("2024-03-05T01:00", "2", details=project),
        charge("2024-03-05T02:00", "4"),
        charge("2024-03-05T03:00", "8", tags={"other": "shop"}, details={"sku": "N2 Core"}),
        tags=("team",),
        dimensions=["sku"],
    ).costs
    assert sums(costs, "tag:team") == {("shop",): 1, ("platform",): 2, ("none",): 12}
    assert sums(costs, "tag:sku") == {("N2 Core",): 8, ("none",): 7}


def test_multi_regions_are_regions_and_projects_have_names(reading: Callable[..., Bill]) -> None:
    zone = {"zone": "europe-west1-b"}  # then `location.location` is the zone
    bill = reading(
        charge("2024-03-05T00:00", "1", region="eu", account="lake"), charge("2024-03-05T00:00", "2", details=zone)
    )
    assert sums(bill.costs, "account", "region") == {("lake", "eu"): 1, ("shop", "europe-west1"): 2}
    assert bill.accounts == {"lake": "Data lake", "shop": "Shop"}


def test_hours_are_kept_where_hours_are_asked_for(reading: Callable[..., Bill]) -> None:
    window = Window(at("2024-03-05T01:00"), at("2024-03-05T03:00"))
    costs = reading(*hours("2024-03-05T00:00", 4, "1"), window=window, grain=Grain.HOUR).costs
    assert sums(costs, "hour") == {("2024-03-05T01:00Z",): 1, ("2024-03-05T02:00Z",): 1}
    span = costs.span()
    assert span is not None
    assert span.end == at("2024-03-05T03:00")


def test_an_empty_answer_is_covered_without_rows(reading: Callable[..., Bill]) -> None:
    bill = reading(charge("2024-02-05T00:00", "1"))
    assert bill.costs.rows() == []
    assert [scope.window for scope in bill.covered] == [MARCH]


def test_a_lost_page_shows_up_as_money(tmp_path: Path) -> None:
    charges = [charge(f"2024-03-{day:02}T03:00", f"{day}.5") for day in range(1, 11)]
    with standing(*charges, page_rows=4) as cloud:
        cloud.inject(Fault("lost_page", "tabledata.list", after=1))
        bill = source(cloud, tmp_path).fetch(Ask(MARCH))
    assert bill.totals is not None
    assert bill.totals.sum() == Decimal(60)
    missing = bill.totals.sum() - bill.costs.sum()
    assert missing > 0


def test_an_answer_without_its_total_is_no_bill(tmp_path: Path) -> None:
    """Here the first page is lost, which has it."""
    charges = [charge(f"2024-03-{day:02}T03:00", "1.5") for day in range(1, 11)]
    with standing(*charges, page_rows=4) as cloud:
        cloud.inject(Fault("lost_page", "tabledata.list"))
        with pytest.raises(BadData, match="lacks its total"):
            source(cloud, tmp_path).fetch(Ask(MARCH))


def test_many_billing_accounts_are_one_bill(tmp_path: Path) -> None:
    """Each in a table of its own; here the second one is in another currency."""
    dollars = Ledger([charge("2024-03-05T00:00", "2", currency="USD")], NAMES)
    with standing(charge("2024-03-05T00:00", "1")) as cloud:
        second, *_ = cloud.add("0A0A0A-0B0B0B-0C0C0C", dollars)
        bill = source(cloud, tmp_path, table=[cloud.standard, second]).fetch(Ask(MARCH))
    assert [(line.key, line.currency, line.billed) for line in bill.costs.by("billing_account").rows()] == [
        (("01ABCD-234567-89EF01",), "EUR", Decimal(1)),
        (("0A0A0A-0B0B0B-0C0C0C",), "USD", Decimal(2)),
    ]


def test_two_tables_with_the_same_bill_are_refused(big: GoogleCloud, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="two tables hold the bill of 01ABCD-234567-89EF01"):
        source(big, tmp_path, table=[big.standard, big.detailed])
    view = "acme-billing.billing.a_view_of_it"
    big.warehouse.tables[view] = big.warehouse.tables[big.detailed]
    try:
        with pytest.raises(BadData, match="both hold the bill of 01ABCD-234567-89EF01"):
            source(big, tmp_path, table=[big.standard, view]).fetch(Ask(WHOLE))
    finally:
        del big.warehouse.tables[view]


def test_access_tells_who_asks_and_how_new_the_newest_charge_is(
    big: GoogleCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDSPEND_NOW", f"{TODAY:%Y-%m-%dT%H:%M:%SZ},frozen")
    access = source(big, tmp_path).access()  # type: ignore[attr-defined]
    assert access.identity == "cost-reader@acme-billing.iam.gserviceaccount.com"
    assert access.newest == TODAY.date()
    assert access.shape["standard"]["credits.type"] == "STRING"


def test_the_partition_bound_has_no_upper_end_and_some_slack(big: GoogleCloud, tmp_path: Path) -> None:
    """A charge whose row was loaded two days before its usage began, as commitments may be."""
    early = charge("2024-03-05T00:00", "1")
    with standing(early) as cloud:
        table = cloud.warehouse.tables[cloud.standard]
        rows = table.rows
        assert rows is not None
        table.rows = lambda: (replace(each, partition=at("2024-03-03T00:00")) for each in rows())
        window = Window.of_day(date(2024, 3, 5))
        assert source(cloud, tmp_path).fetch(Ask(window)).costs.sum() == 1
        assert source(cloud, tmp_path, partition_slack=timedelta(days=1)).fetch(Ask(window)).costs.sum() == 0
