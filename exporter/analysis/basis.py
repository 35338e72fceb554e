"""The primary basis: which of a charge's amounts is shown, and what stands in for it where a bill does not know it."""

from __future__ import annotations

from decimal import Decimal

from exporter.costs import Cost, CostLine, CostTable

Unknown = frozenset[tuple[str, str, str]]
"""(source, provider, currency) whose bills do not know the basis."""


def unknown(costs: CostTable, basis: Cost) -> Unknown:
    """Whose bills do not know `basis`: it sums to zero where billed does not (Oracle's EffectiveCost, for one).

    Judge over all that is stored, so that a day of purchases alone, effective rightly zero, decides nothing.
    """
    if basis is Cost.BILLED:
        return frozenset()
    lines = costs.by("source", "provider").rows()
    return frozenset((*_pair(line), line.currency) for line in lines if line.billed and not line.amount(basis))


def primary(line: CostLine, source: str, provider: str, basis: Cost, unknown: Unknown) -> Decimal:
    """The amount of a line on the primary basis; billed where the bill, or the line, does not know it."""
    amount: Decimal | None = getattr(line, basis.value)
    return line.billed if amount is None or (source, provider, line.currency) in unknown else amount


def _pair(line: CostLine) -> tuple[str, str]:
    return line.key[0], line.key[1]
