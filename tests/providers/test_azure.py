"""What the Azure provider makes of a bill, through the vendor's own client over TLS."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from exporter.clock import Clock
from exporter.costs import Ask, Cost
from exporter.costs.money import add
from exporter.errors import BadData
from exporter.periods import DAY, Window, midnight
from exporter.providers.azure import SPEC, Azure, AzureOptions
from exporter.providers.azure_query import USAGE_LIKE
from exporter.simulator.azure import estate
from exporter.simulator.azure.estate import ACCOUNTS, FIRST, SECOND, THIRD
from exporter.simulator.ledger import Charge, Ledger
from exporter.simulator.server import Fault
from exporter.testing import BillContract, Subject
from tests.providers.azure_house import BILLING, GROUP, NOW, RECENT, House, opened_house, sums, words


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    with opened_house(tmp_path, monkeypatch, months=2) as house:
        yield house


def usage(charge: Charge) -> bool:
    return charge.kind in USAGE_LIKE


class TestContract(BillContract):
    @pytest.fixture
    def subject(self, house: House, monkeypatch: pytest.MonkeyPatch) -> Subject:
        monkeypatch.setenv("CLOUDSPEND_NOW", f"{NOW:%Y-%m-%dT%H:%M:%SZ},frozen")
        house.cloud.page_rows = 50
        options = house.settings(f"/subscriptions/{FIRST}", SECOND)
        return Subject.asked(SPEC, options, date(2026, 2, 10), date(2026, 2, 25), date(2026, 3, 10))


class TestWide(TestContract):
    @pytest.fixture
    def subject(self, house: House, monkeypatch: pytest.MonkeyPatch) -> Subject:
        monkeypatch.setenv("CLOUDSPEND_NOW", f"{NOW:%Y-%m-%dT%H:%M:%SZ},frozen")
        return Subject.asked(
            SPEC, house.settings(BILLING, names=True), date(2026, 2, 10), date(2026, 2, 25), date(2026, 3, 10)
        )


@pytest.mark.parametrize("cost", [Cost.BILLED, Cost.EFFECTIVE])
def test_all_labels_of_subscriptions_add_up_to_the_ledger(house: House, cost: Cost) -> None:
    bill = house.bill(*ACCOUNTS)
    labels = ("day", "account", "service", "region", "charge_category")
    expected = house.charged(
        lambda c: (
            f"{c.start:%Y-%m-%d}",
            c.account,
            c.service if usage(c) else "none",
            c.region if usage(c) else "",
            {"Refund": "purchase", "UnusedReservation": "usage"}.get(c.kind, c.kind.lower()),
            c.currency,
        ),
        *ACCOUNTS,
        cost=cost,
    )
    assert len(expected) > 400
    assert sums(bill.costs, *labels, cost=cost) == expected
    assert bill.by_account is None
    assert [scope.window for scope in bill.covered] == [RECENT]


@pytest.mark.parametrize("scope", [GROUP, BILLING])
def test_a_wide_scope_adds_up_and_knows_its_accounts_apart(house: House, scope: str) -> None:
    bill = house.bill(scope)
    assert sums(bill.costs) == house.charged(lambda c: (c.currency,))
    own = scope.rpartition("/")[2]
    labels = ("account", "service")
    expected = house.charged(
        lambda c: (own if usage(c) else c.account or own, c.service if usage(c) else "none", c.currency)
    )
    assert sums(bill.costs, *labels) == expected
    assert sums(bill.by_account, "account") == house.charged(lambda c: (c.account or own, c.currency))
    assert sums(bill.totals) == sums(bill.costs)
    billing_accounts = {key[0] for key in sums(bill.costs, "billing_account")}
    assert billing_accounts == ({"12345678"} if scope == BILLING else {""})


def test_accounts_each_joins_account_and_service(house: House) -> None:
    bill = house.bill(GROUP, accounts="each")
    expected = house.charged(
        lambda c: (
            c.account or "all-of-it",
            c.service if usage(c) else "none",
            c.region if usage(c) else "",
            c.currency,
        )
    )
    assert sums(bill.costs, "account", "service", "region") == expected
    assert bill.by_account is None


def test_usage_of_no_subscription_is_not_lost_where_accounts_are_asked_one_by_one(house: House) -> None:
    stray = replace(house.cloud.ledger.charges[0], account="", start=midnight(date(2026, 3, 2)), billed=Decimal("3.21"))
    house.cloud.ledger.charges.append(stray)
    bill = house.bill(GROUP, accounts="each")
    assert sums(bill.costs) == house.charged(lambda c: (c.currency,))


def test_amortised_costs_spread_what_the_invoice_has_at_once(house: House) -> None:
    january = Window.of_days(date(2026, 1, 1), date(2026, 2, 1))
    bill = house.bill(FIRST, window=january)
    billed, effective = sums(bill.costs), sums(bill.costs, cost=Cost.EFFECTIVE)
    assert billed == house.charged(lambda c: (c.currency,), FIRST, window=january)
    assert effective == house.charged(lambda c: (c.currency,), FIRST, window=january, cost=Cost.EFFECTIVE)
    assert billed != effective
    purchases = bill.costs.where(charge_category="purchase")
    assert (sums(purchases), sums(purchases, cost=Cost.EFFECTIVE)) == ({("EUR",): Decimal("5201.25")}, {})


def test_without_amortised_costs_half_the_queries_are_made_and_effective_says_billed(house: House) -> None:
    bill = house.bill(FIRST, amortized=False)
    assert [call.detail["dataset"] for call in house.cloud.asked("query")] == ["ActualCost"] * 2
    assert bill.costs.select("DISTINCT CostBasis") == [("billed",)]
    assert sums(bill.costs, cost=Cost.EFFECTIVE) == sums(bill.costs)


def test_three_currencies_are_never_added(house: House) -> None:
    totals = sums(house.bill(GROUP).costs)
    assert totals == house.charged(lambda c: (c.currency,))
    assert {currency for (currency,) in totals} == {"EUR", "USD", "CAD"}


def test_a_refund_is_a_purchase_that_came_back(house: House) -> None:
    april = datetime(2026, 4, 12, tzinfo=UTC)
    house.cloud.clock = Clock(frozen=april)
    house.cloud.ledger.charges.append(_refund())
    bill = house.bill(FIRST, window=Window.of_days(date(2026, 4, 10), date(2026, 4, 11)))
    [line] = bill.costs.by("charge_category").where(charge_category="purchase").rows()
    assert line.billed == Decimal("-118.4")
    assert bill.costs.select("ChargeClass", "IsRefund", where="ChargeCategory = 'Purchase'") == [("Correction", True)]


def _refund() -> Charge:
    return Charge(
        start=midnight(date(2026, 4, 10)),
        account=FIRST,
        service="",
        region="",
        billed=Decimal("-118.4"),
        currency="EUR",
        kind="Refund",
    )


def test_pages_are_posted_again_with_the_same_body_until_the_last(house: House) -> None:
    whole = sums(house.bill(GROUP).costs, "day", "service", "region", "currency", "charge_category")
    calls = len(house.cloud.asked("query"))
    house.cloud.page_rows = 40
    house.cloud.reset()
    assert sums(house.bill(GROUP).costs, "day", "service", "region", "currency", "charge_category") == whole
    assert len(house.cloud.asked("query")) > 4 * calls
    assert {call.status for call in house.cloud.asked("query")} == {200}


def test_a_page_of_five_thousand_rows_and_the_rest(house: House) -> None:
    house.cloud.page_rows = 5000
    day = midnight(date(2026, 3, 1))
    cents = [Decimal(n).scaleb(-4) for n in range(1, 5101)]
    house.cloud.ledger = Ledger(
        [
            Charge(
                start=day,
                account=FIRST,
                service=f"service {n}",
                region="eastus",
                billed=amount,
                currency="EUR",
                kind="Usage",
            )
            for n, amount in enumerate(cents)
        ],
        ACCOUNTS,
    )
    bill = house.bill(FIRST, amortized=False)
    assert sums(bill.costs) == {("EUR",): add(*cents)}
    assert [call.detail["row"] for call in house.cloud.asked("query")] == [0, 0, 5000]


def test_columns_are_read_by_their_names(house: House) -> None:
    labels = ("day", "account", "service", "region")
    before = sums(house.bill(*ACCOUNTS).costs, *labels)
    house.cloud.columns_turned = True
    assert sums(house.bill(*ACCOUNTS).costs, *labels) == before


@pytest.mark.parametrize("columns", [("TagKey", "TagValue"), ("TagValue",)])
def test_a_tag_takes_the_place_of_the_region(house: House, columns: tuple[str, ...]) -> None:
    house.cloud.tag_columns = columns
    bill = house.bill(FIRST, tags=("team",))
    expected = house.charged(
        lambda c: (
            c.service if usage(c) else "none",
            "unknown" if usage(c) else "",
            c.tags.get("team", "none") if usage(c) else "none",
            c.currency,
        ),
        FIRST,
    )
    assert {key[2] for key in expected} > {"web", "data", "none"}
    assert sums(bill.costs, "service", "region", "tag:team") == expected
    assert sums(bill.totals) == sums(bill.costs)


def test_listed_regions_are_kept_apart_beside_a_tag(house: House) -> None:
    bill = house.bill(FIRST, tags=("team",), regions=["East US", "westeurope"])

    def region(charge: Charge) -> str:
        if not usage(charge):
            return ""
        # A spelling that Azure does not know again from ours stays with the rest.
        return "East US" if charge.region.lower() in ("eastus", "east us") else _listed(charge.region)

    expected = house.charged(
        lambda c: (region(c), c.tags.get("team", "none") if usage(c) else "none", c.currency), FIRST
    )
    assert {key[0] for key in expected} == {"East US", "westeurope", "other", ""}
    assert sums(bill.costs, "region", "tag:team") == expected
    assert sums(bill.costs) == sums(bill.totals)


def _listed(region: str) -> str:
    return "westeurope" if region == "westeurope" else "other"


@pytest.mark.parametrize(
    ("word", "detail"), [("resource_group", "resource_group"), ("meter_category", "meter_category")]
)
def test_a_dimension_is_kept_as_a_tag(house: House, word: str, detail: str) -> None:
    bill = house.bill(FIRST, dimensions=[word])
    expected = house.charged(lambda c: ((usage(c) and c.details.get(detail)) or "none", c.currency), FIRST)
    assert len(expected) > 2
    assert sums(bill.costs, f"tag:{word}") == expected


def test_two_more_dimensions_are_refused_with_a_hint(house: House) -> None:
    with pytest.raises(BadData, match=r"two dimensions at most.*team, env.*azure_export"):
        house.bill(FIRST, tags=("team", "env"))
    with pytest.raises(BadData, match="team, resource_group"):
        house.bill(FIRST, tags=("team",), dimensions=["resource_group"])
    assert house.cloud.calls == []


@pytest.mark.parametrize("scopes", [(GROUP, FIRST), (FIRST, GROUP), (SECOND, BILLING), (GROUP, BILLING)])
def test_a_subscription_that_two_scopes_hold_is_not_counted_twice(house: House, scopes: tuple[str, ...]) -> None:
    """No path tells which subscriptions a management group or a billing account holds; the answers do."""
    with pytest.raises(BadData, match="both hold subscription") as caught:
        house.bill(*scopes)
    assert "leave one of them out" in (caught.value.hint or "")


def test_parts_of_one_subscription_are_added_up(house: House) -> None:
    parts = [f"/subscriptions/{FIRST}/resourceGroups/{name}" for name in ("rg-web", "RG-DATA")]
    alone = [house.bill(part).costs.sum() for part in parts]
    assert house.bill(*parts).costs.sum() == add(*alone)


def test_a_resource_group_is_billed_alone(house: House) -> None:
    bill = house.bill(f"/subscriptions/{FIRST}/resourceGroups/RG-Web")
    expected = house.charged(lambda c: (c.details.get("resource_group") == "rg-web", c.currency), FIRST)
    assert sums(bill.costs, "account") == {(FIRST, "EUR"): expected[True, "EUR"]}


@pytest.mark.parametrize("after", range(7))
def test_a_lost_page_shows_as_money(house: House, after: int) -> None:
    house.cloud.page_rows = 60
    house.cloud.inject(Fault("lost_page", operation="query", after=after))
    bill = house.bill(FIRST, amortized=False)
    assert [call.fault for call in house.cloud.asked("query")][after] == "lost_page"
    assert sums(bill.costs) != sums(bill.totals)


def test_late_and_corrected_days_come_with_the_next_poll(house: House) -> None:
    early = house.bill(SECOND, FIRST)
    house.cloud.clock = Clock(frozen=house.cloud.now + 3 * DAY)
    late = house.bill(SECOND, FIRST)
    assert sums(late.costs) == house.charged(lambda c: (c.currency,), FIRST, SECOND)
    assert sums(early.costs) != sums(late.costs)


def test_a_vanished_service_is_not_in_the_next_answer(house: House) -> None:
    house.cloud.ledger.charges = [c for c in house.cloud.ledger.charges if c.service != "SQL Database"]
    bill = house.bill(FIRST)
    assert "SQL Database" not in {key[0] for key in sums(bill.costs, "service")}
    assert [scope.window for scope in bill.covered] == [RECENT]


def test_an_empty_scope_is_a_complete_bill_and_says_so(house: House) -> None:
    house.cloud.bare = {THIRD}
    bill = house.bill(THIRD)
    assert (sums(bill.costs), [scope.window for scope in bill.covered]) == ({}, [RECENT])
    assert THIRD in words(bill.notes)["no_charges"]


def test_a_sponsored_subscription_is_explained(house: House) -> None:
    house.cloud.sponsored = {SECOND}
    bill = house.bill(FIRST, SECOND)
    assert {key[0] for key in sums(bill.costs, "account")} == {FIRST}
    note = words(bill.notes)["no_charges"]
    assert SECOND in note
    assert FIRST not in note
    assert "azure_sponsorship" in note


def test_a_charge_type_that_is_new_is_an_adjustment_with_a_note(house: House) -> None:
    strange = replace(house.cloud.ledger.charges[0], kind="Tithe", start=midnight(date(2026, 3, 2)))
    house.cloud.ledger.charges.append(strange)
    bill = house.bill(strange.account)
    assert sums(bill.costs, "charge_category")["adjustment", strange.currency] == strange.billed
    assert "'Tithe'" in words(bill.notes)["unknown_charge_type"]
    assert sums(bill.costs) == sums(bill.totals)


def test_charge_types_are_known_in_any_case(house: House) -> None:
    house.cloud.ledger.charges = [replace(c, kind=c.kind.lower()) for c in house.cloud.ledger.charges]
    bill = house.bill(FIRST)
    assert sums(bill.costs) == sums(bill.totals) == house.charged(lambda c: (c.currency,), FIRST)
    assert words(bill.notes) == {}


def test_what_azure_no_longer_keeps_is_left_out_and_said(house: House) -> None:
    house.cloud.ledger = estate(7, NOW)
    window = Window.of_days(date(2024, 1, 1), date(2026, 3, 16))
    bill = house.bill(THIRD, window=window)
    kept = Window.of_days(date(2025, 2, 1), date(2026, 3, 16))
    assert [scope.window for scope in bill.covered] == [kept]
    assert sums(bill.costs, "month") == house.charged(lambda c: (f"{c.start:%Y-%m}", c.currency), THIRD, window=kept)
    assert "before 2025-02-01" in words(bill.notes)["history"]
    long_ago = house.bill(THIRD, window=Window.of_days(date(2023, 1, 1), date(2023, 2, 1)))
    assert (long_ago.covered, sums(long_ago.costs)) == ((), {})


def test_newest_months_come_first_and_each_query_spans_half_a_year_at_most(house: House) -> None:
    house.bill(THIRD, window=Window.of_days(date(2025, 2, 1), date(2026, 3, 16)), amortized=False)
    assert [call.detail["units"] for call in house.cloud.asked("query")] == [6, 6, 6, 6, 2, 2]


@pytest.mark.parametrize(
    "now",
    [
        datetime(2026, 3, 1, 0, 5, tzinfo=UTC),
        datetime(2028, 2, 29, 0, 5, tzinfo=UTC),
        datetime(2028, 3, 1, 0, 5, tzinfo=UTC),
        datetime(2026, 12, 31, 23, 55, tzinfo=UTC),
        datetime(2027, 1, 1, 0, 5, tzinfo=UTC),
    ],
    ids=str,
)
def test_edges_of_the_calendar_leave_no_gap_and_no_double(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now: datetime
) -> None:
    with opened_house(tmp_path, monkeypatch, now) as house:
        window = Window.of_days(date(now.year - 1, 12, 1), (now + DAY).date())
        bill = house.bill(*ACCOUNTS, window=window)
        expected = house.charged(lambda c: (f"{c.start:%Y-%m-%d}", c.currency), *ACCOUNTS, window=window)
        assert sums(bill.costs, "day") == expected
        assert [scope.window for scope in bill.covered] == [window]


def test_days_to_come_are_covered_and_not_asked_for(house: House) -> None:
    window = Window.of_days(date(2026, 3, 10), date(2026, 4, 1))
    bill = house.bill(FIRST, window=window)
    assert [scope.window for scope in bill.covered] == [window]
    tomorrow = Window.of_days(date(2026, 3, 17), date(2026, 3, 20))
    calls = len(house.cloud.calls)
    assert sums(house.bill(FIRST, window=tomorrow).costs) == {}
    assert len(house.cloud.calls) == calls


def test_the_queries_made_are_those_that_are_planned(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDSPEND_NOW", f"{NOW:%Y-%m-%dT%H:%M:%SZ},frozen")
    asks: list[tuple[Ask, dict[str, Any]]] = [
        (Ask(RECENT), {}),
        (Ask(RECENT), {"names": True}),
        (Ask(RECENT), {"scopes": [GROUP], "accounts": "each", "accounts_expected": 3}),
        (Ask(RECENT, tags=("team",)), {"regions": ["eastus", "westeurope"]}),
        (Ask(Window.of_days(date(2024, 1, 1), date(2026, 3, 16))), {"amortized": False}),
    ]
    house.cloud.page_rows = 10_000
    for ask, given in asks:
        house.cloud.reset()
        scopes = given.pop("scopes", [FIRST, SECOND])
        options = AzureOptions.model_validate(house.settings(*scopes, **given))
        Azure(options, house.meter).fetch(ask)
        asked = [call.detail["units"] for call in house.cloud.asked("query")]
        planned = SPEC.calls(options, ask)
        assert sum(call.times for call in planned) == len(asked)
        assert sum(call.times * call.units["qpu"] for call in planned) == sum(asked)


def test_access_says_who_asks_and_what_came(house: House) -> None:
    access = house.source(FIRST, SECOND).access()
    assert access.newest == NOW.date()
    assert access.calls == ("Microsoft.CostManagement/query",)
    assert set(access.shape["columns"]) == {"Cost", "UsageDate", "ChargeType", "SubscriptionId", "Currency"}  # type: ignore[call-overload]
    assert len(house.cloud.asked("query")) == 2


def test_the_query_shares_no_quota_with_clients_without_a_type(house: House) -> None:
    house.bill(FIRST)
    assert {call.detail["client_type"] for call in house.cloud.asked("query")} == {"cloudspend"}


def test_subscriptions_have_their_names(house: House) -> None:
    assert house.bill(GROUP, names=True).accounts == ACCOUNTS
    assert house.bill(SECOND, names=True).accounts == {SECOND: ACCOUNTS[SECOND]}


def test_a_bill_is_whole_without_names_and_says_that_they_are_missing(house: House) -> None:
    house.cloud.inject(Fault("error", operation="query", status=400, after=4))
    bill = house.bill(FIRST, names=True)
    assert sums(bill.costs) == house.charged(lambda c: (c.currency,), FIRST)
    assert bill.accounts == {}
    assert "answered 400" in words(bill.notes)["account_names"]


def test_amounts_past_the_last_stored_place_are_rounded_and_counted(house: House) -> None:
    first = house.cloud.ledger.charges[0]
    tiny = [Decimal("1.5E-24"), Decimal("2E-24"), Decimal("-7E-25")]
    house.cloud.ledger = Ledger(
        [replace(first, start=midnight(date(2026, 3, 2 + n)), billed=amount) for n, amount in enumerate(tiny)], ACCOUNTS
    )
    bill = house.bill(first.account, amortized=False)
    assert sums(bill.costs) == {("EUR",): Decimal("3E-24")}
    assert bill.rounded == 2
