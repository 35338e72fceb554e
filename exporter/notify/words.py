"""Amounts, shares and instants as messages write them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal, InvalidOperation


def links(external_url: str | None) -> tuple[tuple[str, str], ...]:
    """Where people reach the exporter, where that is known."""
    return (("cloudspend", f"{external_url}/"),) if external_url else ()


def money(amount: str | None, currency: str, *, signed: bool = False) -> str:
    """Decimal text as `1,234.50 USD`; what is none stays as it is."""
    try:
        value = Decimal(str(amount))
    except InvalidOperation:
        return f"{amount} {currency}"
    return f"{value:{'+' if signed else ''},.2f} {currency}"


def percent(ratio: str) -> str:
    """A share as `6.1%`."""
    return f"{format((Decimal(ratio) * 100).quantize(Decimal('0.1')).normalize(), 'f')}%"


def used(spent: str, limit: str) -> str:
    """What part of a limit is spent, as `84.0%`."""
    whole = Decimal(limit)
    return f"{Decimal(spent) / whole * 100:.1f}%" if whole else "–"


def minute(instant: str) -> str:
    """An instant as `2024-03-15 12:00`, a day as it is."""
    try:
        return f"{datetime.fromisoformat(instant):%Y-%m-%d %H:%M}"
    except ValueError:
        return str(date.fromisoformat(instant))
