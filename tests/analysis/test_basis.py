"""Which amount is shown, and what stands in for it."""

from __future__ import annotations

from decimal import Decimal

from exporter.analysis.basis import primary, unknown
from exporter.costs import Cost, CostRow, CostTable
from tests.costs.rows import row


def shown(basis: Cost, *rows: CostRow) -> dict[tuple[str, ...], Decimal]:
    costs = CostTable.of(rows)
    judged = unknown(costs, basis)
    lines = costs.by("service", "source", "provider").rows()
    return {(line.key[0], line.currency): primary(line, line.key[1], line.key[2], basis, judged) for line in lines}


def test_a_bill_that_does_not_know_effective_shows_billed() -> None:
    known = row("2024-09-01", "10", effective=Decimal(8), service="EC2")
    none = row("2024-09-01", "5", effective=Decimal(0), service="COMPUTE", provider="oci")
    assert shown(Cost.EFFECTIVE, known, none) == {("EC2", "USD"): 8, ("COMPUTE", "USD"): 5}


def test_one_currency_of_a_provider_decides_nothing_about_another() -> None:
    usd = row("2024-09-01", "100", effective=Decimal(80), service="EC2")
    purchase = row("2024-09-01", "5", "EUR", effective=Decimal(0), service="Plan")
    assert shown(Cost.EFFECTIVE, usd, purchase) == {("EC2", "USD"): 80, ("Plan", "EUR"): 5}


def test_a_purchase_that_effective_spreads_is_zero_where_the_bill_knows_effective() -> None:
    purchase = row("2024-09-01", "30", effective=Decimal(0), service="Plan")
    used = row("2024-09-01", "0", effective=Decimal(30), service="EC2")
    assert shown(Cost.EFFECTIVE, purchase, used) == {("Plan", "USD"): 0, ("EC2", "USD"): 30}


def test_a_line_without_a_list_price_shows_billed_and_not_zero() -> None:
    priced = row("2024-09-01", "10", list=Decimal(12), service="EC2")
    unpriced = row("2024-09-01", "50", service="Support")
    assert shown(Cost.LIST, priced, unpriced) == {("EC2", "USD"): 12, ("Support", "USD"): 50}


def test_billed_is_always_known() -> None:
    assert shown(Cost.BILLED, row("2024-09-01", "-3", effective=Decimal(0))) == {("s", "USD"): -3}
