"""Short-hand for rows in tests."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from exporter.costs import CostRow


def row(day: str, billed: str, currency: str = "USD", **more: Any) -> CostRow:
    given = {"start": date.fromisoformat(day), "account": "a", "service": "s", "region": "r", "provider": "aws"} | more
    return CostRow(billed=Decimal(billed), currency=currency, **given)
